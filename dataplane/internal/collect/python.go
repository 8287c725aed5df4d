package collect

import (
	"flameplane.dev/dataplane/internal/cpuprofile"
	"flameplane.dev/dataplane/internal/process"
	"flameplane.dev/dataplane/internal/python"
	"flameplane.dev/dataplane/internal/symbols"
)

// Functions are those of Python, which the kernel's side names itself.
type Functions interface {
	Follow(map[process.ID]python.Interpreter) error
	Frames(keys []uint64) []cpuprofile.Frame
}

// follow has the sampler walk the interpreters of the processes that are known to have one.
func (c *Collector) follow() error {
	if c.python == nil { // an older kernel
		return nil
	}
	found := map[process.ID]python.Interpreter{}
	for id, known := range c.spaces {
		if interpreter, ok := c.symbols.Of(id, known.space).Interpreter(); ok {
			found[id] = interpreter
		}
	}
	return c.python.Follow(found)
}

// called is what functions of Python called, with them.
func (c *Collector) called(resolver *symbols.Process, count counted, native []cpuprofile.Frame) []cpuprofile.Frame {
	interpreter, ok := resolver.Interpreter()
	if count.Python == 0 || !ok {
		return native
	}
	keys, ok := c.stack(count, count.Python)
	if !ok {
		c.metrics.StacksLost.Add(float64(count.Number))
	}
	return python.Join(native, c.python.Frames(keys), interpreter.File)
}
