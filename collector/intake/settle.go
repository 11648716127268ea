package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// work takes one message as far as the writer. Its verdict comes later.
func (i *Intake) work(m message) {
	a, kind, err := telemetry.ParseTopic(m.topic)
	if err != nil || kind != telemetry.KindData {
		i.m.refused.WithLabelValues("topic").Inc()
		i.p.Log.Warn("message on a topic that carries no data is dropped", "topic", fmt.Sprintf("%.200q", m.topic))
		i.settled()
		return
	}
	x := i.rooms.get()
	x.batch = batch{address: a, payload: m.payload, arrived: m.arrived}
	b := &x.batch
	text, weight, err := i.unpack(x, m.payload)
	if errors.Is(err, telemetry.ErrNewer) { // no fault of the batch: its agent keeps it until this collector has been updated
		i.m.newer.Inc()
		i.newer.Do(func() {
			i.p.Log.Error("batches of newer agents are not acknowledged; agents keep them", "agent", a.String(), "error", err)
		})
		i.settled()
		return
	}
	i.queue.charge(m.topic, len(text))
	if i.flight.Acquire(i.ctx, weight) != nil { // the end
		i.m.dropped.Inc()
		i.settled()
		return
	}
	release := func() {
		i.rooms.put(x)
		i.flight.Release(weight)
		i.settled()
	}
	if err == nil {
		err = i.check(x, text, i.p.Now())
	}
	if err != nil {
		i.m.refused.WithLabelValues(reasonOf(err)).Inc()
		i.reject(b, err.Error())
		release()
		return
	}
	texts, expired := x.stamp(i.keptFrom(i.p.Now()))
	i.m.expired.Add(float64(expired))
	if len(texts) == 0 {
		i.finish(b, release)
		return
	}
	i.submit(b, texts, release)
}

// submit hands the texts over and finishes the batch when the writer has answered for all of them.
func (i *Intake) submit(b *batch, texts []text, release func()) {
	writeTexts(i.ctx, i.p.Writer, b, texts, func(err error) {
		if i.trouble.note(err); err != nil {
			i.m.unstored.Inc()
			release()
			return
		}
		i.finish(b, release)
	})
}

// writeTexts hands the texts of a batch over. Done is called once, when the writer has answered for all of them, with an error when they may be written
// again; else the lines that were refused are among the bad ones then.
func writeTexts(ctx context.Context, w Writer, b *batch, texts []text, done func(error)) {
	h := &handover{b: b, left: len(texts), done: done}
	for _, t := range texts {
		err := w.Submit(ctx, t.tier, t.bytes, func(bad []store.RefusedLine, err error) { h.answer(t.lines, bad, err) })
		if err != nil {
			h.answer(t.lines, nil, err)
		}
	}
}

// handover is a batch of which the writer has not answered for all texts.
type handover struct {
	b    *batch
	done func(error)

	mu      sync.Mutex
	left    int
	trouble error
	refused map[int]string // by place in b.good
}

// answer is the writer's for one text.
func (h *handover) answer(lines []int, bad []store.RefusedLine, err error) {
	h.mu.Lock()
	if err != nil {
		h.trouble = errors.Join(h.trouble, err)
	}
	for _, r := range bad {
		if h.refused == nil {
			h.refused = map[int]string{}
		}
		h.refused[lines[r.Index]] = r.Words
	}
	h.left--
	last := h.left == 0
	h.mu.Unlock()
	if !last {
		return
	}
	if h.trouble == nil {
		h.b.refuse(h.refused)
	}
	h.done(h.trouble)
}

// refuse moves the lines that InfluxDB will not have to the bad ones.
func (b *batch) refuse(words map[int]string) {
	if len(words) == 0 {
		return
	}
	good := b.good[:0:0]
	for n, l := range b.good {
		if w, bad := words[n]; bad {
			b.bad = append(b.bad, telemetry.BadLine{Raw: l.Raw, Err: &store.RefusedError{Words: w}})
		} else {
			good = append(good, l)
		}
	}
	b.good = good
}

// finish tells the watcher and the agent what became of a batch. What may take long goes on in its own goroutine,
// within the memory in flight, so that the writer need not wait.
func (i *Intake) finish(b *batch, release func()) {
	i.count(b)
	for _, l := range b.bad {
		i.m.refused.WithLabelValues(reasonOf(l.Err)).Inc()
	}
	if len(b.good) > 0 && !b.foreign {
		i.p.Watcher.Stored(b.address, i.p.Now(), b.good)
	}
	i.machines(b)
	first := !b.foreign && len(b.good) > 0 && b.good[0].Measurement == "batch" && i.boots.first(b.address, b.header.Boot, b.header.Seq, b.arrived)
	if len(b.bad) == 0 && !first {
		i.acknowledge(b, nil)
		release()
		return
	}
	go func() {
		defer release()
		if len(b.good) == 0 {
			i.reject(b, b.why())
			return
		}
		if !i.keep(b.address, b.letters(i.p.Now())) {
			return
		}
		var last *telemetry.LastBatch
		if first {
			last = i.lastOf(b)
		}
		i.acknowledge(b, last)
	}()
}

// machines looks whether one machine sends an agent's batches, and tells when that changes.
func (i *Intake) machines(b *batch) {
	if b.foreign || b.header.Boot == "" {
		return
	}
	s, news := i.twins.Take(b.address, b.header, i.p.Now())
	switch {
	case news && s.Seen():
		i.p.Log.Warn("two machines work as one agent with the same secret, and what they measure is mixed; stop one, or give it an agent of its own", "agent", b.address.String(),
			"boots", s.Boots[0]+" "+s.Boots[1], "next", "nabz-collector agent rotate "+b.address.String()+", and enrol on the right one")
	case news:
		i.p.Log.Info("one machine works as this agent again", "agent", b.address.String())
	}
}

// count counts the lines that are stored, those of a row of one measurement at once.
func (i *Intake) count(b *batch) {
	for n := 0; n < len(b.good); {
		name, stored := b.good[n].Measurement, 0
		for ; n < len(b.good) && b.good[n].Measurement == name; n++ {
			if !b.expired(&b.good[n]) {
				stored++
			}
		}
		if stored > 0 {
			i.m.lines.WithLabelValues(name).Add(float64(stored))
		}
	}
}

// why is one of the reasons, with the number of its line where it is known.
func (b *batch) why() string {
	if len(b.bad) == 0 {
		return ""
	}
	l := slices.MinFunc(b.bad, func(x, y telemetry.BadLine) int { return cmp.Compare(x.Number, y.Number) })
	if l.Number == 0 {
		return l.Err.Error()
	}
	return fmt.Sprintf("line %d: %v", l.Number, l.Err)
}

// acknowledge says `stored`, now or, where there is nothing more to say, as late as the agent allows.
func (i *Intake) acknowledge(b *batch, last *telemetry.LastBatch) {
	if b.foreign {
		return
	}
	refused, why := b.refused()
	if last == nil && refused == 0 {
		i.lazy.stored(b.address, b.header, b.arrived)
		return
	}
	i.publish(b.address, telemetry.Ack{Verdict: telemetry.Stored, Boot: b.header.Boot, Seq: b.header.Seq, Refused: refused, Last: last, Why: why})
}

// reject keeps the whole message as a dead letter and says `rejected`, by digest where there is no header.
func (i *Intake) reject(b *batch, why string) {
	if !i.keep(b.address, []letter{{At: i.p.Now(), From: b.address.String(), Count: b.lines(), Reason: why, Payload: b.payload}}) {
		return
	}
	ack := telemetry.Ack{Verdict: telemetry.Rejected, Boot: b.header.Boot, Seq: b.header.Seq, Why: why}
	if ack.Boot == "" {
		ack.Digest = telemetry.Digest(b.payload)
	}
	i.publish(b.address, ack)
}

func (i *Intake) publish(a telemetry.Address, ack telemetry.Ack) {
	ack.Now = i.p.Now()
	if s := i.twins.Of(a, ack.Now); s.Seen() {
		ack.Twin = s.Other(ack.Boot)
	}
	if err := i.p.Publisher.Publish(a.Topic(telemetry.KindAck), ack.Append(make([]byte, 0, 64))); err != nil {
		i.m.unsent.Inc()
		i.p.Log.Debug("acknowledgement was not sent; the agent sends its batch again", "agent", a.String(), "error", err)
		return
	}
	i.m.acks.WithLabelValues(string(ack.Verdict)).Inc()
}

// keep writes dead letters. Without them there is no acknowledgement: the agent keeps the only other copy.
func (i *Intake) keep(a telemetry.Address, letters []letter) bool {
	if len(letters) == 0 {
		return true
	}
	if err := i.letters.Append(a, letters); err != nil {
		i.p.Log.Error("dead letters were not written, so their batch is not acknowledged", "agent", a.String(), "error", err)
		return false
	}
	return true
}

// reasonOf is the label under which a refusal is counted.
func reasonOf(err error) string {
	var refused *store.RefusedError
	switch {
	case errors.As(err, &refused):
		return "influxdb"
	case errors.Is(err, errHeader):
		return "header"
	case errors.Is(err, telemetry.ErrNewer):
		return "newer"
	case errors.Is(err, errTime):
		return "time"
	case errors.Is(err, errSeries):
		return "series"
	case errors.Is(err, telemetry.ErrTooLarge):
		return "too_large"
	case errors.Is(err, telemetry.ErrMalformed):
		return "malformed"
	}
	return "schema"
}
