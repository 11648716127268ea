package command

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/limit"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	// life is how long a command may begin. An agent that is connected answers within seconds; a satellite link that hangs, in a minute.
	life = 2 * time.Minute
	// overdue is how long after that the end of one that has begun is awaited: a speed test takes a minute at most.
	overdue = 3 * time.Minute
	// A command is sent again until it is answered: what goes to an agent is not confirmed on the way.
	againFirst, againMost = 5 * time.Second, 30 * time.Second

	perSite   = 20   // commands kept of a site
	inAllMost = 1000 // and of all
)

// Parts are what a Commander works with.
type Parts struct {
	File string // of the commands; its folder is there
	// Known tells whether an agent is enrolled, and Connected whether it is there now.
	Known     func(telemetry.Address) bool
	Connected func(telemetry.Address) bool
	// Send hands a command to the broker and does not wait. An error says that it cannot reach the agent.
	Send    func(a telemetry.Address, payload []byte) error
	Audit   *audit.Log
	Metrics prometheus.Registerer
	Now     func() time.Time
	Log     *slog.Logger
}

// Commander is safe for concurrent use.
type Commander struct {
	p      Parts
	m      metrics
	asks   *limit.Limiter
	words  *limit.Limiter // results
	codec  *telemetry.Codec
	wakeup chan struct{}
	inAll  int

	mu   sync.Mutex
	all  []*order // the oldest first
	file file
	subs []chan struct{}
}

// order is a command with what is needed to send it.
type order struct {
	Command
	pause time.Duration // until it is sent again
	next  time.Time
}

// Open reads the commands of the run before. A line that cannot be read is told and left out.
func Open(p Parts) (*Commander, error) {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	c := &Commander{p: p, wakeup: make(chan struct{}, 1), asks: limit.New(askRates()), words: limit.New(resultRates()), file: file{path: p.File}, inAll: inAllMost}
	var err error
	if c.codec, err = telemetry.NewCodec(); err != nil {
		return nil, err
	}
	kept, err := c.file.open(p.Log)
	if err != nil {
		return nil, fmt.Errorf("read the commands in %s: %w; see to the disk and to the file's owner, or move it away", p.File, err)
	}
	for _, one := range kept {
		c.all = append(c.all, &order{Command: one, pause: againFirst})
	}
	c.trim()
	c.m = newMetrics(p.Metrics, c)
	return c, nil
}

// Ask sends a command to an agent in the name of who, who has come from there (an address, for the audit log). The error says why nothing was sent,
// for people; errors.Is tells them apart. Nothing is sent that the audit log has not got.
func (c *Commander) Ask(who, from string, to telemetry.Address, kind Kind) (Command, error) {
	entry := audit.Entry{Who: who, From: from, What: "command " + string(kind), On: to.String(), Outcome: audit.Refused}
	one, err := c.ask(who, to, kind, func(id string) error {
		asked := entry
		asked.Outcome, asked.Detail = audit.Done, "asked, id "+id
		return c.p.Audit.Record(asked)
	})
	if err == nil {
		c.changed()
		c.m.asked.WithLabelValues(label(kind), "sent").Inc()
		c.p.Log.Info("command is sent", "id", one.ID, "kind", string(kind), "agent", to.String(), "who", who)
		return one, nil
	}
	if one.ID != "" { // it did not get beyond the broker
		c.changed()
	}
	c.m.asked.WithLabelValues(label(kind), "refused").Inc()
	entry.Detail = err.Error()
	if e := c.p.Audit.Record(entry); e != nil {
		c.p.Log.Error("the audit log cannot be written", "error", e)
	}
	return one, err
}

func (c *Commander) ask(who string, to telemetry.Address, kind Kind, record func(id string) error) (Command, error) {
	now := c.p.Now()
	switch {
	case !slices.Contains(telemetry.CommandKinds(), kind):
		return Command{}, fmt.Errorf("%w %.40q; there are %v", ErrUnknownKind, string(kind), telemetry.CommandKinds())
	case !c.p.Known(to):
		return Command{}, fmt.Errorf("%s: %w; nabz-collector agent list shows who is", to, ErrUnknownAgent)
	case !c.p.Connected(to):
		return Command{}, fmt.Errorf("%s %w now, so nothing was sent, and nothing waits for it; ask again when the board shows it connected", to, ErrAbsent)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.all {
		if !o.State.Ended() && o.Address() == to && o.Kind == kind {
			return Command{}, fmt.Errorf("a %s of %s %w, by %s at %s; wait for it to end", kind, to, ErrRunning, o.Who, o.Asked.Format("15:04:05"))
		}
	}
	if wait := c.asks.Take(to.String()+" "+string(kind), who, now); wait > 0 {
		return Command{}, fmt.Errorf("%w: a village pays for each; ask again in %v", ErrTooMany, (wait + time.Second - 1).Truncate(time.Second))
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	now = now.Truncate(time.Millisecond)
	o := &order{Command: Command{ID: hex.EncodeToString(id), Kind: kind, Site: to.Site, Agent: to.Agent, Who: who, Asked: now, State: Sent, Changed: now}, pause: againFirst}
	if err := record(o.ID); err != nil {
		return Command{}, fmt.Errorf("nothing was sent, since it could not be recorded: %w", err)
	}
	if err := c.file.put(o.Command); err != nil {
		return Command{}, fmt.Errorf("nothing was sent, since it could not be written to %s: %w; see to the disk", c.file.path, err)
	}
	c.all = append(c.all, o)
	c.trim()
	if err := c.send(o, now); err != nil {
		o.State, o.Text = Failed, "nothing was sent: "+err.Error()
		c.keep(o)
		return o.Command, fmt.Errorf("%s: %w", to, err)
	}
	c.wake()
	return o.Command, nil
}

// send hands a command to the broker, once more perhaps. The mutex is held.
func (c *Commander) send(o *order, now time.Time) error {
	o.next = now.Add(o.pause)
	o.pause = min(2*o.pause, againMost)
	return c.p.Send(o.Address(), telemetry.Command{ID: o.ID, Kind: o.Kind, Asked: o.Asked, Life: life}.Append(nil))
}

// Of lists the commands of a site, the newest first.
func (c *Commander) Of(site string) (all []Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.all) - 1; i >= 0; i-- {
		if o := c.all[i]; o.Site == site {
			all = append(all, o.Command)
		}
	}
	return all
}

// Subscribe returns a channel that gets a word when any command has changed, one for several perhaps. Cancel ends it and closes nothing; it
// may be called more than once.
func (c *Commander) Subscribe() (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = append(c.subs, ch)
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.subs = slices.DeleteFunc(c.subs, func(o chan struct{}) bool { return o == ch })
	}
}

// changed tells who wants to know.
func (c *Commander) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// keep writes a command down as it stands now. A disk that does not take it costs what a restart would forget, which is told.
func (c *Commander) keep(o *order) {
	if err := c.file.put(o.Command); err != nil {
		c.p.Log.Error("what became of a command is not on disk; a restart forgets it", "id", o.ID, "error", err)
	}
}

// trim drops the oldest commands beyond the bounds; those under way stay. The mutex is held, or nobody else is there yet.
func (c *Commander) trim() {
	of := map[string]int{}
	for _, o := range c.all {
		of[o.Site]++
	}
	over := len(c.all) - c.inAll
	c.all = slices.DeleteFunc(c.all, func(o *order) bool {
		drop := o.State.Ended() && (over > 0 || of[o.Site] > perSite)
		if drop {
			of[o.Site]--
			over--
		}
		return drop
	})
	if c.file.lines > 2*c.inAll+len(c.all) {
		all := make([]Command, len(c.all))
		for i, o := range c.all {
			all[i] = o.Command
		}
		if err := c.file.rewrite(all); err != nil {
			c.p.Log.Error("the file of commands cannot be written anew; it grows", "file", c.file.path, "error", err)
		}
	}
}

func (c *Commander) find(id string) *order {
	for _, o := range slices.Backward(c.all) {
		if o.ID == id {
			return o
		}
	}
	return nil
}

func (c *Commander) wake() {
	select {
	case c.wakeup <- struct{}{}:
	default:
	}
}
