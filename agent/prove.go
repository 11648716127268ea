package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/telemetry"
)

// Proof is what became of a test line that went the whole way: spool, broker, collector, InfluxDB, and the acknowledgement back.
type Proof struct {
	Running bool          `json:"running"`           // through the running agent; else this program did the agent's work itself
	Broker  string        `json:"broker"`            // that took it
	Took    time.Duration `json:"took_ns"`           // from sealing to the acknowledgement
	Ahead   time.Duration `json:"clock_ahead_ns"`    // of this machine's clock against the collector's, within Took; the agent has its own, which follows the collector's
	Refused string        `json:"refused,omitempty"` // why the collector rejected the line, though it came
}

// proving waits for the acknowledgement of one batch. Safe for concurrent use; one proof at a time.
type proving struct {
	one  sync.Mutex // held for a whole proof
	mu   sync.Mutex
	want uint64 // 0: none
	got  chan telemetry.Ack
}

func (p *proving) expect(seq uint64) <-chan telemetry.Ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want, p.got = seq, make(chan telemetry.Ack, 1)
	return p.got
}

// heard passes on the acknowledgement that is waited for.
func (p *proving) heard(k telemetry.Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := k.First
	if first == 0 {
		first = k.Seq
	}
	if p.want != 0 && first <= p.want && p.want <= k.Seq {
		p.got <- k
		p.want = 0
	}
}

// Prove sends a test line, an event of kind "check", and waits until the collector says that it is stored. It goes through the agent
// that runs on the data folder; where none does, this program does its work for so long. The error says how far it came.
func Prove(ctx context.Context, c Config, log *slog.Logger) (Proof, error) {
	ctx, cancel := context.WithTimeout(ctx, proveWait+doorWait)
	defer cancel()
	out, err := ask(ctx, c.DataDir, askProve)
	if out.Proof != nil || err != nil && !errors.Is(err, ErrNotRunning) {
		if out.Proof == nil {
			out.Proof = &Proof{Running: true}
		}
		return *out.Proof, err
	}
	if c.DataDir, err = os.MkdirTemp("", "nabz-check-"); err != nil { // root's files in the agent's folder would shut the agent out
		return Proof{}, fmt.Errorf("make a folder for the test line: %w", err)
	}
	defer os.RemoveAll(c.DataDir)
	a, err := open(ctx, c, log)
	if err != nil {
		return Proof{}, err
	}
	a.boot = fmt.Sprintf("%08x", rand.Uint32())                // one of its own: the numbers of the agent's batches are not touched
	up, stop := context.WithCancel(context.WithoutCancel(ctx)) // it is asked how far it came before it goes
	done := make(chan error, 1)
	go func() { done <- a.uplink.Run(up) }()
	p, err := a.proveAlone(ctx)
	stop()
	return p, errors.Join(err, <-done, a.close())
}

// proveAlone seals a test line without a recorder.
func (a *agent) proveAlone(ctx context.Context) (Proof, error) {
	b := box{c: RecorderConfig{Boot: a.boot, Clock: a.clock, Queue: a.spool, Sealer: a.sealer, WireBytes: func() int64 { return 0 }, Wake: a.uplink.Wake, Log: a.log}, log: a.log}
	if !a.clock.Known() { // a test line is kept for ever: the acknowledgement of a header alone tells the time first
		got := a.proving.expect(a.spool.NextSeq())
		b.seal(telemetry.Detail, clock.Floor().Add(rand.N(24*time.Hour)), telemetry.OpenSpan{}, true)
		if p, err := a.await(ctx, got, time.Now(), false); err != nil && !a.clock.Known() {
			return p, err
		}
	}
	now := a.clock.Now()
	b.add(telemetry.NewLine("event", now).Tag("kind", "check").Str("detail", "test line of nabz-agent check"))
	got := a.proving.expect(a.spool.NextSeq())
	b.seal(telemetry.Ledger, now, telemetry.OpenSpan{}, true)
	return a.await(ctx, got, time.Now(), false)
}

// prove has the recorder seal a test line.
func (a *agent) prove(ctx context.Context) (Proof, error) {
	a.proving.one.Lock()
	defer a.proving.one.Unlock()
	sealed := make(chan sealedProof, 1)
	select {
	case a.proofs <- sealed:
	case <-ctx.Done():
		return Proof{Running: true}, ctx.Err()
	}
	got := <-sealed
	if got.ack == nil {
		return Proof{Running: true}, errors.New(got.why)
	}
	return a.await(ctx, got.ack, time.Now(), true)
}

// sealedProof is the acknowledgement to wait for, or nil and why nothing was sealed.
type sealedProof struct {
	ack <-chan telemetry.Ack
	why string
}

// sealProof is prove's part in the recorder's goroutine.
func (a *agent) sealProof() sealedProof {
	seq := a.spool.NextSeq()
	got := a.proving.expect(seq)
	a.recorder.urgent = true
	a.recorder.Event("check", "test line of nabz-agent check")
	switch {
	case a.spool.NextSeq() != seq:
		return sealedProof{ack: got}
	case !a.recorder.released:
		return sealedProof{why: "the agent stamps nothing yet, because it does not know the time or waits for the collector's word on the time before; ask again in some minutes"}
	case a.recorder.suspicious:
		return sealedProof{why: "the link seems to have failed just now, and nothing is sealed until that is certain; ask again in a minute"}
	}
	return sealedProof{why: "the disk takes nothing, and what is measured waits in RAM; free space on it, or look whether it is mounted read-only"}
}

func (a *agent) await(ctx context.Context, got <-chan telemetry.Ack, since time.Time, running bool) (Proof, error) {
	p := Proof{Running: running}
	select {
	case k := <-got:
		p.Took = time.Since(since)
		p.Broker, p.Ahead, p.Refused = a.uplink.Stats().Broker, a.read().Wall.Sub(k.Now), k.Why
		if k.Verdict == telemetry.Rejected {
			return p, fmt.Errorf("the collector rejects the test line: %s", k.Why)
		}
		return p, nil
	case <-ctx.Done():
	}
	s := a.uplink.Stats()
	p.Broker = s.Broker
	switch {
	case !s.Connected:
		return p, fmt.Errorf("no broker could be reached within %v; last tried %s", proveWait, s.Broker)
	case s.LastAck.IsZero():
		return p, fmt.Errorf("%s is connected, but no collector acknowledges within %v; is nabz-collector running there, and its InfluxDB?", s.Broker, proveWait)
	}
	return p, fmt.Errorf("the collector has not acknowledged the test line within %v, though others before; is its InfluxDB running?", proveWait)
}
