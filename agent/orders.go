package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/smartvillage/nabz/agent/speedtest"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	maxOrders = 32              // commands whose ids are remembered; more than the collector sends while one of them may begin
	ahead     = 2 * time.Minute // how far a command may be ahead of this agent's clock
	lookWait  = 90 * time.Second
	lookCost  = 15_000 // bytes on the wire, about
)

// orders are what the NOC asks of this agent, and what became of it. A goroutine works only while one is obeyed.
type orders struct {
	mu    sync.Mutex
	ctx   context.Context // of those that are obeyed; nil: none is
	work  sync.WaitGroup
	known []telemetry.Result // the newest last
	busy  map[telemetry.CommandKind]bool
	cost  atomic.Int64 // bytes on the wire for looking around
	bad   fault        // commands that cannot be read
}

// begin lets commands be obeyed until ctx ends. What the run before had begun and not ended is told.
func (a *agent) begin(ctx context.Context) {
	o := &a.orders
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ctx, o.busy = ctx, map[telemetry.CommandKind]bool{}
	for _, r := range o.known {
		if r.State == telemetry.ResultFailed && r.Text == brokenOff {
			a.say(r)
		}
	}
}

// end lets no more be begun, and waits for those under way.
func (o *orders) end() {
	o.mu.Lock()
	o.ctx = nil
	o.mu.Unlock()
	o.work.Wait()
}

// command takes a command from the uplink. One that was heard before is answered with what became of it, and not begun again.
func (a *agent) command(payload []byte) {
	c, err := telemetry.ParseCommand(payload)
	o := &a.orders
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil && c.ID == "" {
		o.bad.tell(a.log, err, "a command of the NOC cannot be read and is not obeyed", "")
		return
	}
	if i := o.find(c.ID); i >= 0 {
		a.say(o.known[i])
		return
	}
	if why := a.objection(c, err); why != "" {
		r := telemetry.Result{ID: c.ID, State: telemetry.ResultRefused, Text: why}
		o.remember(r)
		a.log.Info("command of the NOC", "id", c.ID, "kind", string(c.Kind), "state", string(r.State), "text", r.Text)
		a.say(r)
		return
	}
	o.busy[c.Kind] = true
	o.remember(telemetry.Result{ID: c.ID, State: telemetry.ResultAccepted})
	ctx := o.ctx
	o.work.Go(func() { a.obey(ctx, c) })
}

// objection is why a command is not begun, in words for the NOC; "" when it is. The mutex is held.
func (a *agent) objection(c telemetry.Command, unread error) string {
	now, known := a.now()
	switch allow := a.c.Commands.Allow; {
	case unread != nil:
		return "this agent does not know commands of that version; upgrade it"
	case a.orders.ctx == nil:
		return "the agent is about to start or to stop; ask again in a minute"
	case !slices.Contains(telemetry.CommandKinds(), c.Kind):
		return fmt.Sprintf("this agent knows %s and not %s; upgrade it", kinds(telemetry.CommandKinds()), c.Kind)
	case !slices.Contains(allow, string(c.Kind)):
		return fmt.Sprintf("the owner of this agent does not allow %s from the NOC ([commands] allow in agent.toml); ask them", c.Kind)
	case known && now.After(c.Expires()):
		return fmt.Sprintf("it came %v too late: the link is slow or was cut; ask again", now.Sub(c.Expires()).Round(time.Second))
	case known && c.Asked.Sub(now) > ahead:
		return fmt.Sprintf("this agent's clock is %v behind the collector's, so that it cannot tell whether the command is still good; ask again once it has the collector's time", c.Asked.Sub(now).Round(time.Second))
	case a.orders.busy[c.Kind]:
		return fmt.Sprintf("another %s is under way; ask again when it has ended", c.Kind)
	}
	return ""
}

// obey does what a command wants, and tells.
func (a *agent) obey(ctx context.Context, c telemetry.Command) {
	o := &a.orders
	o.mu.Lock()
	err := a.settle(c, telemetry.Result{State: telemetry.ResultAccepted})
	o.mu.Unlock()
	var r telemetry.Result
	switch {
	case err != nil:
		r = telemetry.Result{State: telemetry.ResultRefused, Text: fmt.Sprintf("the disk takes no note of it, so that it could run twice: %v; free the disk", err)}
	case c.Kind == telemetry.CommandSpeedtest:
		r = a.obeySpeedtest(ctx)
	default:
		r = a.diagnose(ctx)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.busy, c.Kind)
	if err := a.settle(c, r); err != nil {
		a.log.Warn("what became of a command of the NOC is not on disk", "id", c.ID, "err", err)
		a.say(o.known[o.find(c.ID)])
	}
}

// obeySpeedtest measures now.
func (a *agent) obeySpeedtest(ctx context.Context) telemetry.Result {
	limited, cancel := context.WithTimeout(ctx, speedWait)
	defer cancel()
	s, err := a.testNow(limited, false)
	switch {
	case err == nil:
		return telemetry.Result{State: telemetry.ResultDone, Text: s.String()}
	case ctx.Err() != nil:
		return telemetry.Result{State: telemetry.ResultFailed, Text: "the agent was stopped meanwhile; ask again"}
	case !began(err):
		return telemetry.Result{State: telemetry.ResultRefused, Text: err.Error()}
	}
	return telemetry.Result{State: telemetry.ResultFailed, Text: err.Error()}
}

// began tells whether a speed test that ended with an error had cost anything.
func began(err error) bool {
	for _, not := range []error{errNoSpeed, errNotNow, speedtest.ErrBusy, speedtest.ErrBusyServer, speedtest.ErrRunning, speedtest.ErrSpent, speedtest.ErrClock, speedtest.ErrMonth} {
		if errors.Is(err, not) {
			return false
		}
	}
	return true
}

// diagnose says what a person on the spot could ask this agent: nothing that they could not see, and no secret.
func (a *agent) diagnose(ctx context.Context) telemetry.Result {
	var b strings.Builder
	s := a.status()
	_, _ = s.WriteTo(&b) // a Builder takes all
	text := fmt.Sprintf("link %s, clock %s, %s", cmp.Or(s.Link.State, "not known yet"), s.Clock, count(s.Spool.Batches, "batch waits", "batches wait"))
	if a.c.Checkup != nil {
		a.orders.cost.Add(lookCost)
		limited, cancel := context.WithTimeout(ctx, lookWait)
		found := a.c.Checkup(limited)
		cancel()
		b.WriteString("\n" + found)
		text += fmt.Sprintf("; check: %d failed, %d warned", strings.Count("\n"+found, "\nFAIL"), strings.Count("\n"+found, "\nwarn"))
	}
	if ctx.Err() != nil {
		return telemetry.Result{State: telemetry.ResultFailed, Text: "the agent was stopped meanwhile; ask again"}
	}
	return telemetry.Result{State: telemetry.ResultDone, Text: text, Data: a.pack(b.String())}
}

// pack seals as much of a text, in whole lines, as a result can carry.
func (a *agent) pack(text string) []byte {
	for most := telemetry.MaxResultData; ; most = most * 3 / 4 {
		if len(text) > most {
			text = text[:strings.LastIndexByte(text[:most], '\n')+1]
		}
		if sealed := a.sealer.Seal(nil, []byte(text)); len(sealed) <= telemetry.MaxResult-telemetry.MaxResultText-64 || text == "" {
			return sealed
		}
	}
}

// settle notes how far a command that was begun has come and tells the collector. Of a speed test the note is on disk first, so that it is not begun
// again after a power cut, which the villagers would pay for; an error says that it is not, and nothing was told. The mutex is held.
func (a *agent) settle(c telemetry.Command, r telemetry.Result) error {
	r.ID = c.ID
	if now, known := a.now(); known {
		r.At = now
	}
	o := &a.orders
	o.remember(r)
	if c.Kind == telemetry.CommandSpeedtest {
		if err := a.saveOrders(); err != nil {
			return err
		}
	}
	a.log.Info("command of the NOC", "id", c.ID, "kind", string(c.Kind), "state", string(r.State), "text", r.Text)
	a.say(r)
	return nil
}

// say sends an answer.
func (a *agent) say(r telemetry.Result) { a.uplink.Answer(r.Append(nil)) }

func (o *orders) find(id string) int {
	return slices.IndexFunc(o.known, func(r telemetry.Result) bool { return r.ID == id })
}

// remember keeps the newest answer to each command, the data of the newest of all alone, and forgets the oldest that has ended.
func (o *orders) remember(r telemetry.Result) {
	for i := range o.known {
		o.known[i].Data = nil
	}
	if i := o.find(r.ID); i >= 0 {
		o.known[i] = r
		return
	}
	if len(o.known) >= maxOrders {
		if i := slices.IndexFunc(o.known, func(r telemetry.Result) bool { return r.State != telemetry.ResultAccepted }); i >= 0 {
			o.known = slices.Delete(o.known, i, i+1)
		}
	}
	o.known = append(o.known, r)
}

// kinds is a list for a person.
func kinds(all []telemetry.CommandKind) string {
	words := make([]string, len(all))
	for i, k := range all {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}
