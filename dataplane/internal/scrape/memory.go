package scrape

import (
	"cmp"
	"sync"
)

const mostRemembered = 4 << 20 // bytes of totals over all pods: those of 170,000 stacks

// memory is what profiles were when they were scraped last, up to a number of bytes. Where it would be more, the largest
// profile of the pod that has most is forgotten: a pod that has no more than an equal share loses nothing by others.
type memory struct {
	limit int
	mutex sync.Mutex
	kept  map[*delta]*totals
}

func newMemory(limit int) *memory { return &memory{limit: limit, kept: map[*delta]*totals{}} }

// take is what was remembered, which is forgotten so.
func (m *memory) take(of *delta) *totals {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found := m.kept[of]
	delete(m.kept, of)
	return found
}

// keep remembers, and forgets what is too much: this, or others.
func (m *memory) keep(of *delta, what *totals) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.kept[of] = what
	for m.size() > m.limit {
		delete(m.kept, m.heaviest(of))
	}
}

// heaviest is what is forgotten next. Of equals it is the newest: if they took turns, no difference of either would be sent.
func (m *memory) heaviest(newest *delta) *delta {
	byPod := map[string]int{}
	for each, what := range m.kept {
		byPod[each.pod] += what.size()
	}
	found := newest
	for each, what := range m.kept {
		pods := cmp.Compare(byPod[each.pod], byPod[found.pod])
		if cmp.Or(pods, cmp.Compare(what.size(), m.kept[found].size())) > 0 {
			found = each
		}
	}
	return found
}

// size is counted where it is kept: there are but a few for each pod.
func (m *memory) size() (total int) {
	for _, each := range m.kept {
		total += each.size()
	}
	return total
}

// bytes that are remembered now.
func (m *memory) bytes() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.size()
}
