package alert

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Channel is a way to tell somebody.
type Channel interface {
	Name() string    // without what is secret
	Least() Severity // what matters less is not told
	// Send tells. What is said of the answer, and an error, hold nothing that is secret.
	Send(ctx context.Context, m Message) (answer string, err error)
}

// keeper is a Channel that shows what goes on, and wants to hear of all of it again and again.
type keeper interface {
	Resend() time.Duration
}

func keepsState(c Channel) bool {
	_, ok := c.(keeper)
	return ok
}

// Message is what a channel is told at once.
type Message struct {
	News []News
	All  []Alert // that go on or ended lately, for a channel that shows what goes on
	Now  time.Time
	Link string // address of the board, or where a notice leads to; "" where none is known

	Started time.Time // when this engine began
	Beat    time.Time // so long the collector is known to be well; zero: it is not, or there is no heartbeat
}

// News is one thing to tell.
type News struct {
	What  string // Raised, Repeated, Recovered, Tested; Noticed, with an Alert that is none
	Alert Alert
}

// item is news that waits for a channel.
type item struct {
	Channel string    `json:"channel"`
	Alert   string    `json:"alert"`
	What    string    `json:"what"`
	Queued  time.Time `json:"queued"`
	Attempt int       `json:"attempt"`
	Next    time.Time `json:"next"`
	busy    bool
}

// How deliveries are tried.
const (
	sendTime   = 30 * time.Second
	retryFirst = 5 * time.Second
	retryMost  = 10 * time.Minute
	atOnce     = 20 // news in one message
)

// note puts news where it has to be told. The mutex is held.
func (e *Engine) note(a *record, what string) {
	for _, ch := range e.c.Channels {
		switch {
		case keepsState(ch):
			if admits(ch.Least(), a.Severity) && !(what == Changed && e.waits(ch.Name(), a.ID)) { // it is told all that goes on with what waits
				e.put(ch, a, what)
			}
		case what == Changed || !admits(ch.Least(), a.Severity):
		case what != Recovered:
			e.put(ch, a, what)
		default:
			waited := e.waits(ch.Name(), a.ID)
			if waited { // what was not told yet is told as over, once
				e.outbox = slices.DeleteFunc(e.outbox, func(i *item) bool { return !i.busy && i.Channel == ch.Name() && i.Alert == a.ID })
			}
			if _, told := a.Told[ch.Name()]; (told || waited) && !a.Silent {
				e.put(ch, a, what)
			}
		}
	}
}

func (e *Engine) put(ch Channel, a *record, what string) {
	e.outbox = append(e.outbox, &item{Channel: ch.Name(), Alert: a.ID, What: what, Queued: e.c.Now()})
	e.now = true
}

// waits tells whether something of an alert waits for a channel.
func (e *Engine) waits(channel, id string) bool {
	return slices.ContainsFunc(e.outbox, func(i *item) bool { return i.Channel == channel && i.Alert == id })
}

// admits tells whether a channel that wants the least severity wants this one.
func admits(least, s Severity) bool {
	order := []Severity{Info, Warning, Critical}
	return slices.Index(order, s) >= slices.Index(order, least)
}

func (e *Engine) wakeAll() {
	for _, c := range e.wake {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// send tells one channel what waits for it, until ctx ends.
func (e *Engine) send(ctx context.Context, ch Channel) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	again := time.Time{} // when a keeper hears of all
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake[ch.Name()]:
		case <-timer.C:
		}
		wait := e.deliver(ctx, ch, &again)
		timer.Reset(wait)
	}
}

// deliver tells a channel what is due, and returns after what time it wants to be called again.
func (e *Engine) deliver(ctx context.Context, ch Channel, again *time.Time) time.Duration {
	now := e.c.Now()
	m, items, next := e.waiting(ch, now)
	if k, ok := ch.(keeper); ok {
		if len(items) == 0 && now.Before(*again) {
			return min(next, again.Sub(now))
		}
		*again = now.Add(k.Resend())
		next = min(next, k.Resend())
	} else if len(items) == 0 {
		return next
	}
	sent, cancel := context.WithTimeout(ctx, sendTime)
	_, err := ch.Send(sent, m)
	cancel()
	err = m.without(err)
	if ctx.Err() != nil && err != nil { // it was cut short; whether it arrived is not known
		e.give(items)
		return 0
	}
	if at := e.done(ch, items, err); at > 0 {
		next = min(next, at)
		*again = e.c.Now().Add(at)
	}
	return next
}

// waiting is what is due for a channel: its oldest first, and at most so much as fits in a message.
func (e *Engine) waiting(ch Channel, now time.Time) (m Message, items []*item, next time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next = time.Hour
	m = Message{Now: now, Link: e.c.Link, Started: e.started}
	if every := e.c.Heartbeat.Every; !e.well.IsZero() && now.Sub(e.well) < 2*every {
		m.Beat = e.well.Add(3 * max(every, resendEvery)) // it must not end before it is told again
	}
	most := atOnce
	if keepsState(ch) {
		most = len(e.outbox)
	}
	var notice *item
	for _, i := range e.outbox {
		if i.Channel != ch.Name() || i.busy {
			continue
		}
		if wait := i.Next.Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		if len(items) == most {
			next = time.Second
			break
		}
		if i.What == Noticed {
			if notice == nil {
				notice = i
			} else {
				next = time.Second
			}
			continue
		}
		if a := e.find(i.Alert); a != nil {
			items = append(items, i)
			m.News = append(m.News, News{i.What, a.copied()})
		}
	}
	switch {
	case notice == nil:
	case len(items) > 0: // alerts first, and a notice is a message of its own
		next = time.Second
	default:
		n := e.notice(notice.Alert)
		items, m.News, m.Link = []*item{notice}, []News{n.news()}, n.Link
	}
	for _, i := range items {
		i.busy = true
	}
	if keepsState(ch) {
		for _, a := range e.active {
			m.All = append(m.All, a.copied())
		}
		for _, a := range e.ended {
			if now.Sub(a.Ended) < endedShown || e.waits(ch.Name(), a.ID) {
				m.All = append(m.All, a.copied())
			}
		}
		m.All = slices.DeleteFunc(m.All, func(a Alert) bool { return !admits(ch.Least(), a.Severity) })
		slices.SortFunc(m.All, func(a, b Alert) int { return compare(a.ID, b.ID) })
	}
	return m, items, next
}

// give puts items back as they were.
func (e *Engine) give(items []*item) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range items {
		i.busy = false
	}
}

// done notes how a message ended, and writes it down. It returns after what time to try again; 0 when there is nothing to try.
func (e *Engine) done(ch Channel, items []*item, err error) (again time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.c.Now()
	text := ""
	if err != nil {
		text = err.Error()
		e.counts.failed[ch.Name()]++
	} else {
		e.counts.sent[ch.Name()]++
	}
	e.tellTrouble(ch.Name(), text)
	if err != nil {
		again = backoff(e.counts.trouble[ch.Name()])
	}
	gone := map[*item]bool{}
	for _, i := range items {
		i.busy = false
		i.Attempt++
		d := Delivery{At: now, Alert: i.Alert, Channel: ch.Name(), What: i.What, Attempt: i.Attempt, Err: text}
		switch {
		case err == nil && i.What == Noticed:
			gone[i] = true
		case err == nil:
			gone[i] = true
			if a := e.find(i.Alert); a != nil {
				if a.Told == nil {
					a.Told = map[string]time.Time{}
				}
				a.Told[ch.Name()] = now
			}
		case i.What == Noticed && !e.tryNotice(i, now):
			gone[i] = true
		case i.What == Noticed:
			d.Next = i.later(now)
		case i.What != Recovered && e.active[i.Alert] == nil: // it is over meanwhile, which is told in its place
			gone[i] = true
		case now.Sub(i.Queued) >= dayRetry && !(i.What == Raised && e.active[i.Alert] != nil): // somebody has to hear of what goes on
			gone[i] = true
		default:
			d.Next = i.later(now)
		}
		if i.What != Changed || err != nil {
			e.tries = append(e.tries, d)
		}
	}
	if n := len(e.tries) - keepTries; n > 0 {
		e.tries = slices.Delete(e.tries, 0, n)
	}
	e.outbox = slices.DeleteFunc(e.outbox, func(i *item) bool { return gone[i] })
	e.forgetNotices()
	if len(items) > 0 {
		urgent := e.now // of a look that has not ended yet
		e.now = false
		e.written = now
		e.write(e.c.File, e.state())
		e.tell()
		if urgent {
			e.wakeAll()
		}
	}
	return again
}

// later is when an item is tried again.
func (i *item) later(now time.Time) time.Time {
	i.Next = now.Add(backoff(i.Attempt))
	return i.Next
}

// backoff is how long to wait after so many attempts: longer each time, and never the same for all.
func backoff(attempt int) time.Duration {
	d := retryFirst
	for i := 1; i < attempt && d < retryMost; i++ {
		d *= 2
	}
	d = min(d, retryMost)
	return d/2 + rand.N(d/2+1)
}

// tellTrouble logs once that a channel fails, and once that it works again. The mutex is held.
func (e *Engine) tellTrouble(channel, fault string) {
	was := e.counts.trouble[channel]
	switch {
	case fault != "" && was == 0 && channel == HeartbeatName:
		e.c.Log.Error("no heartbeat goes out; whoever waits for it will take the collector for silent", "error", fault)
	case fault == "" && was > 0 && channel == HeartbeatName:
		e.c.Log.Info("the heartbeat goes out again", "missed", was)
	case fault != "" && was == 0:
		e.c.Log.Error("alerts cannot be told; it is tried again for a day", "channel", channel, "error", fault)
	case fault == "" && was > 0:
		e.c.Log.Info("alerts are told again", "channel", channel, "failed", was)
	}
	if fault != "" {
		e.counts.trouble[channel]++
	} else {
		delete(e.counts.trouble, channel)
	}
}
