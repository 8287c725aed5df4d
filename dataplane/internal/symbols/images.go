package symbols

import "flameplane.dev/dataplane/internal/cpuprofile"

// Weights in bytes, roughly: what is known of images may grow to mostKept, however many programs come and go.
const (
	mostKept    = 24 << 20
	imageWeight = 1 << 10
	frameWeight = 256
	entryWeight = 16 // of a table of exported functions
	maxNames    = 1 << 13
)

// images are kept in two generations: what was not asked for since the younger one filled up goes with the older one.
type images struct {
	young, old map[key]*image
	weight     int // of the younger generation
}

// of is the image at a place, which may be a new one.
func (c *images) of(at key) *image {
	if found, ok := c.known(at); ok {
		return found
	}
	made := &image{frames: map[uint64]cpuprofile.Frame{}}
	c.put(at, made)
	c.grow(made, imageWeight)
	return made
}

// known is the image at a place, if it is one that was asked for before.
func (c *images) known(at key) (*image, bool) {
	if found, ok := c.young[at]; ok {
		return found, true
	}
	found, ok := c.old[at]
	if ok {
		c.put(at, found)
		delete(c.old, at)
		c.grow(found, 0)
	}
	return found, ok
}

func (c *images) put(at key, one *image) {
	if c.young == nil {
		c.young = map[key]*image{}
	}
	c.young[at] = one
	c.weight += one.weight
}

// grow adds to what an image weighs.
func (c *images) grow(one *image, weight int) {
	one.weight += weight
	c.weight += weight
	if c.weight > mostKept/2 {
		c.young, c.old, c.weight = nil, c.young, 0
	}
}

// keep adds a frame to an image.
func (c *images) keep(one *image, offset uint64, frame cpuprofile.Frame) {
	if len(one.frames) >= maxNames {
		one.frames = map[uint64]cpuprofile.Frame{}
		c.grow(one, -maxNames*frameWeight)
	}
	one.frames[offset] = frame
	c.grow(one, frameWeight)
}
