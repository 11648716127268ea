package load

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Plan is what one process is to do. Which fields count depends on Kind.
type Plan struct {
	Kind     string        // pour, fleet, write, sink or fill
	Addr     string        // of the broker, host:port; for write the URL of InfluxDB; for sink where to listen
	Agents   int           // that send as fast as they may
	Window   int           // batches that each of them has under way
	Batches  int           // that each of them sends; with Repeat, how many different ones it has
	First    int           // of Batches, that are sent before the others; fill
	Repeat   bool          // send them again and again, until told to stop
	Zstd     bool          // pack them
	Start    int64         // ms: the first line of all has this time
	Boot     string        // of the headers; another for each plan
	Live     int           // further agents, each with one batch each Every, whose acknowledgements are timed
	Every    time.Duration // for live ones and for the fleet
	CA       string        // PEM file; fleet
	Detail   bool          // four lines of a router's minute instead of five of 14 fields
	Database [2]string     // ledger, detail; write
	Present  bool          // a fleet whose batches have the time at which they are sent, the first of each as soon as it is connected

	zero int64 // with Present: the time of an agent's first batch, ms; Start is then that of all others
}

// which is the batch that an agent sends as its n-th: the first of a boot is sent once, as the collector looks for what was before it.
func (p *Plan) which(n int) int {
	if n < p.Batches {
		return n
	}
	return 1 + (n-1)%(p.Batches-1)
}

// Status is what a process tells of itself. Counts are since its start.
type Status struct {
	Ready     bool    // all is prepared, and everyone signed in
	Begun     bool    // every agent's first batch is acknowledged, and all send what they have
	Done      bool    // all is acknowledged
	Sent      int64   // batches
	Acked     int64   // batches
	Bad       int64   // batches rejected, or stored without some of their lines
	Again     int64   // batches sent again because no acknowledgement came
	Connected int64   // agents that are signed in and subscribed
	WaitMax   float64 // seconds from when a live agent's batch was due until it was acknowledged, the worst
	WaitP99   float64
	Lost      int64 // connections that ended
	Fault     string
}

// reporter prints statuses and hears commands.
type reporter struct {
	mu   sync.Mutex
	out  *json.Encoder
	last Status
}

func (r *reporter) tell(s Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = s
	_ = r.out.Encode(s) // nobody is left to be told
}

// Run does what the plan says until it is done and the input ends, or ctx does.
func Run(ctx context.Context, p Plan, stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := make(chan struct{})
	go func() {
		in := bufio.NewScanner(stdin)
		if in.Scan() {
			close(begin)
		}
		for in.Scan() {
		}
		cancel() // whoever started us is gone, or wants us gone
	}()
	r := &reporter{out: json.NewEncoder(stdout)}
	var err error
	switch p.Kind {
	case "pour":
		err = pour(ctx, p, begin, r)
	case "fleet":
		err = fleet(ctx, p, begin, r)
	case "write":
		err = write(ctx, p, begin, r)
	case "sink":
		err = sink(ctx, p, r)
	case "fill":
		err = fill(ctx, p, begin, r)
	default:
		err = fmt.Errorf("plan of an unknown kind %q", p.Kind)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

const tellEvery = 50 * time.Millisecond
