package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

// Replay writes dead letters again, by the rules of the intake as they are configured now. What InfluxDB takes is taken away from the folder, what
// it refuses stays with the new reason. A collector may run beside it. Broken off anywhere it can be run again: lines never change, so one
// that is written twice is stored once.
type Replay struct {
	Config   Config // of the intake
	Writer   Writer // nil: only check
	IDs      []string
	All      bool
	Now      func() time.Time
	Progress func(done float64, lines int64) // share of the files that were gone through; may be nil
}

// Replayed counts what a Replay has done. Without a Writer Stored is what would be written.
type Replayed struct {
	Letters int // that were tried
	Stored  int // lines
	Refused int // lines or messages that stay
	Reasons map[string]int

	ids map[string]bool
}

// outcome is what became of one record: taken away, or kept with the letter that it is now.
type outcome struct {
	stored bool
	now    letter
}

// Run works until all is done or InfluxDB takes no more.
func (p *Replay) Run(ctx context.Context) (Replayed, error) {
	p.Config.defaults()
	p.Config.MaxSeries = 1 << 30 // somebody has looked at it
	sum := Replayed{Reasons: map[string]int{}, ids: map[string]bool{}}
	r, err := newRules(p.Config)
	if err != nil {
		return sum, err
	}
	defer r.codec.Close()
	names, err := letterFiles(p.Config.DeadLetters)
	if err != nil {
		return sum, err
	}
	var total, done int64
	sizes := make([]int64, len(names))
	for n, name := range names {
		if info, err := os.Stat(name); err == nil {
			sizes[n] = info.Size()
			total += sizes[n]
		}
	}
	for n, name := range names {
		if err := p.file(ctx, r, name, &sum); err != nil {
			return sum, err
		}
		done += sizes[n]
		if p.Progress != nil {
			p.Progress(float64(done)/float64(max(total, 1)), int64(sum.Stored))
		}
	}
	return sum, ctx.Err()
}

// file replays the records of one file and then writes it anew. A fault of InfluxDB is returned after what was settled before it.
func (p *Replay) file(ctx context.Context, r *rules, name string, sum *Replayed) error {
	outcomes := map[[sha256.Size]byte]outcome{}
	var mu sync.Mutex // guards outcomes, sum and fault; those who answer are other goroutines
	var fault error
	flight := semaphore.NewWeighted(p.Config.FlightBytes)
	err := readLetters(name, func(rec record) error {
		if !p.All && !slices.Contains(p.IDs, rec.id()) {
			return nil
		}
		x := newRoom()
		text, weight, err := r.unpack(x, rec.Payload)
		if err := flight.Acquire(ctx, weight); err != nil {
			return err
		}
		mu.Lock()
		broken := fault
		mu.Unlock()
		if broken != nil {
			flight.Release(weight)
			return broken
		}
		r.again(x, &rec.letter, text, err, p.Now())
		b := &x.batch
		return p.submit(ctx, r, x, func(stored int, err error) {
			defer flight.Release(weight)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				fault = err
				return
			}
			sum.ids[rec.id()] = true
			sum.Letters = len(sum.ids)
			sum.Stored += stored
			o := outcome{stored: len(b.bad) == 0}
			if !o.stored {
				o.now = rec.letter
				o.now.Reason = b.why()
				if rec.Batch == "" && !bytes.Equal(b.bad[0].Raw, rec.Payload) { // not the message as a whole
					o.now.Count = len(b.bad)
				}
				sum.Refused += len(b.bad)
				sum.Reasons[o.now.Reason] += len(b.bad)
			}
			outcomes[sha256.Sum256(rec.raw)] = o
		})
	})
	if e := flight.Acquire(context.WithoutCancel(ctx), p.Config.FlightBytes); e != nil { // all have answered
		return e
	}
	if err == nil {
		err = fault
	}
	if p.Writer == nil || len(outcomes) == 0 {
		return err
	}
	return errors.Join(err, p.renew(name, outcomes))
}

// again makes the batch of a room of a letter, by the rules of now. What cannot be is in its bad lines.
func (r *rules) again(x *room, l *letter, text []byte, opened error, now time.Time) {
	a, _ := telemetry.ParseAddress(l.From) // readLetters has looked
	b := &x.batch
	b.address, b.payload = a, l.Payload
	err := opened
	switch {
	case l.Batch != "": // one line of a batch, which is no message and was not packed
		err = r.againLine(b, l, now)
	case err == nil:
		err = r.check(x, text, now)
	}
	if err != nil {
		b.good, b.bad = nil, []telemetry.BadLine{{Raw: l.Payload, Err: err}}
	}
}

func (r *rules) againLine(b *batch, l *letter, now time.Time) error {
	good, bad, err := telemetry.Parse(l.Payload)
	if err != nil || len(bad) > 0 || len(good) != 1 {
		if len(bad) > 0 {
			err = bad[0].Err
		}
		return errors.Join(err, nil)
	}
	if h, err := telemetry.HeaderOf(&good[0].Line); good[0].Measurement == "batch" && (err != nil || fmt.Sprintf("%s %d", h.Boot, h.Seq) != l.Batch) {
		return errors.New("batch: a second header in one batch")
	}
	r.bounds(b, good, now)
	return nil
}

// submit writes what is good of a batch. Done is called once, maybe later, when submit returns nil.
func (p *Replay) submit(ctx context.Context, r *rules, x *room, done func(stored int, err error)) error {
	b, from := &x.batch, r.keptFrom(p.Now())
	texts, expired := x.stamp(from)
	if expired > 0 {
		words := map[int]string{}
		for n := range b.good {
			if b.expired(&b.good[n]) {
				words[n] = fmt.Sprintf("InfluxDB keeps detail for %v, and this is older", r.c.DetailFor)
			}
		}
		b.refuse(words)
		texts, _ = x.stamp(from) // the places of the lines have changed
	}
	if len(texts) == 0 || p.Writer == nil {
		done(len(b.good), nil)
		return nil
	}
	writeTexts(ctx, p.Writer, b, texts, func(err error) { done(len(b.good), err) })
	return nil
}

// renew writes a file anew without what was stored. A collector may have added to it, or dropped it.
func (p *Replay) renew(name string, outcomes map[[sha256.Size]byte]outcome) error {
	unlock, err := wholefile.Lock(p.Config.DeadLetters)
	if err != nil {
		return fmt.Errorf("lock the dead letters: %w", err)
	}
	defer unlock()
	old, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the dead letters again: %w", err)
	}
	var rest bytes.Buffer
	for line := range bytes.Lines(old) {
		raw, whole := bytes.CutSuffix(line, []byte{'\n'})
		o, tried := outcomes[sha256.Sum256(raw)]
		switch {
		case !whole, tried && o.stored: // a torn tail was told to nobody
		case tried:
			if err := o.now.append(&rest); err != nil {
				return err
			}
		default:
			rest.Write(line)
		}
	}
	if rest.Len() == 0 {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("remove dead letters that are stored: %w", err)
		}
		return wholefile.SyncFolder(p.Config.DeadLetters)
	}
	if err := wholefile.Replace(name, rest.Bytes(), 0o640); err != nil {
		return fmt.Errorf("take stored dead letters away: %w; they are stored, and may be written again", err)
	}
	return nil
}
