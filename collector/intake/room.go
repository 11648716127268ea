package intake

import (
	"sync"

	"github.com/smartvillage/nabz/telemetry"
)

// room is what one message takes while it is worked on. Rooms are used again: texts of all batches anew, three for each, would be most of what the
// collector of garbage has to do.
type room struct {
	batch   batch
	parser  telemetry.Parser
	text    []byte // unpacked
	stamped []byte // the texts for the writer, one behind the other
	lines   []int  // of those texts
	texts   [2]text
}

// keptText and keptLines are the largest rooms that are kept.
const (
	keptText  = 64 << 10
	keptLines = 256
)

// rooms hands rooms out.
type rooms struct{ pool sync.Pool }

func (r *rooms) get() *room {
	if x, ok := r.pool.Get().(*room); ok {
		return x
	}
	return newRoom()
}

func newRoom() *room { return &room{parser: telemetry.Parser{Fields: looked()}} }

// put takes a room back. Nobody may hold anything of it any more.
func (r *rooms) put(x *room) {
	if cap(x.text) > keptText || cap(x.stamped) > keptText || cap(x.lines) > keptLines {
		return
	}
	x.batch = batch{}
	r.pool.Put(x)
}
