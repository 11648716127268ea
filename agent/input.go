package agent

import (
	"time"

	"github.com/smartvillage/nabz/agent/ledger"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/sampler"
	"github.com/smartvillage/nabz/telemetry"
)

// Tick is one set of what was sampled since the one before.
type Tick struct {
	Traffic      []sampler.Traffic
	Host         sampler.State
	More         []Liner // power, clients and whatever else has a line
	Clients      int     // clients seen at once, for the hour's highest
	ClientsKnown bool
}

// Liner makes its line; nil when there is nothing to tell.
type Liner interface {
	Line(at time.Time) *telemetry.Line
}

// input is one thing that happened, by elapsed time.
type input struct {
	at      time.Time
	verdict *probe.Verdict
	tick    *tick
	event   *event
	lines   func(time.Time) []*telemetry.Line
	asleep  time.Time // the machine slept somewhere between this moment and at
}

// tick is a Tick with what the path told meanwhile.
type tick struct {
	Tick
	path ledger.Quality
	from time.Time
}

type event struct{ kind, detail string }

func (r *Recorder) tickOf(t Tick) input {
	in := input{at: r.c.elapsed(), tick: &tick{Tick: t, from: r.ticked}}
	if r.c.Path != nil {
		in.tick.path = quality(r.c.Path())
	}
	r.ticked = in.at
	return in
}
