package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// keepAnchoring notes the newest line every few seconds while there are new ones, and whenever somebody waits for it.
func (s *Shipper) keepAnchoring(ctx context.Context) {
	ticker := time.NewTicker(anchorEvery)
	defer ticker.Stop()
	_ = s.anchor(ctx) // the line that says the chain began, or went on
	for {
		var waiting []chan<- error
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if s.journal.Head().Seq == s.anchored {
				continue
			}
		case one := <-s.asked:
			waiting = append(waiting, one)
		}
	more:
		for {
			select {
			case one := <-s.asked:
				waiting = append(waiting, one)
			default:
				break more
			}
		}
		err := s.anchor(ctx)
		for _, one := range waiting {
			one <- err
		}
	}
}

// anchor notes the newest line, which may be another than the one that somebody waits for, but is none before it. It asks
// the store even where that line is noted: whoever waits wants to know that the next one can be noted too.
func (s *Shipper) anchor(ctx context.Context) error {
	head := s.journal.Head()
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, anchorTime)
	defer cancel()
	name := fmt.Sprintf("%sanchors/%s/%012d-%s.json", s.prefix, head.Replica, head.Seq, head.Hash[:16])
	if err := s.store.Put(ctx, name, append(text, '\n')); err != nil {
		slog.Error("the newest audit line cannot be noted outside", "line", head.Seq, "err", err)
		s.metrics.failed.WithLabelValues("anchor").Inc()
		return err
	}
	s.anchored = head.Seq
	return nil
}
