package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// ErrMemory: the bytes are not what Append wrote, or a newer program wrote them.
var ErrMemory = errors.New("what the mark holds of the run before cannot be read")

const (
	memoryVersion = 1
	// MaxMemory bounds what Append writes, in bytes.
	MaxMemory = 1400
	maxMore   = 400
	// maxParts is how many hours can be running at once: one, and the one before until its last sample has come.
	maxParts = 4
)

// Memory is what a power cut would take from the ledger besides the span that is open. It rides in the mark.
type Memory struct {
	Hours Hours  // the sums of the hour that is running
	Lives []Life // boots that have not learned the time, oldest first
	More  []byte // of another room; over maxMore bytes it is left out
}

// Append packs the memory behind dst: some 50 bytes for the hour, 8 and up to 6 a stretch for each life. Where that is more than
// MaxMemory, the oldest stretches are given up: they become unknown.
func (m Memory) Append(dst []byte) []byte {
	lives := make([]Life, len(m.Lives))
	copy(lives, m.Lives)
	for {
		b := m.append(nil, lives)
		if len(b) <= MaxMemory || !forgetOldest(lives) {
			return append(dst, b...)
		}
	}
}

// forgetOldest makes the older half of the oldest life that still has a history unknown.
func forgetOldest(lives []Life) bool {
	for i := range lives {
		if s := lives[i].Stretches; len(s) > 1 {
			n := len(s)/2 + 1
			rest := Stretch{}
			for _, x := range s[:n] {
				rest.Length += x.Length
			}
			lives[i].Stretches = append([]Stretch{rest}, s[n:]...)
			return true
		}
	}
	return false
}

func (m Memory) append(b []byte, lives []Life) []byte {
	b = append(b, memoryVersion)
	b = m.Hours.append(b)
	b = binary.AppendUvarint(b, uint64(len(lives)))
	for _, l := range lives {
		b = l.append(b)
	}
	if len(m.More) <= maxMore {
		b = append(b, m.More...)
	}
	return b
}

// ParseMemory reads what Append wrote.
func ParseMemory(b []byte) (Memory, error) {
	r := reader{b: b}
	if len(b) == 0 || len(b) > MaxMemory || r.byte() != memoryVersion {
		return Memory{}, ErrMemory
	}
	m := Memory{Hours: r.hours()}
	n := r.uint()
	for ; n > 0 && !r.bad; n-- {
		m.Lives = append(m.Lives, r.life())
	}
	if r.bad || len(r.b) > maxMore {
		return Memory{}, ErrMemory
	}
	m.More = r.b
	return m, nil
}

func (h *Hours) append(b []byte) []byte {
	if h.sums == nil || len(h.sums) > maxParts || h.until.Sub(h.from) > maxParts*time.Hour {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendVarint(b, h.from.UnixMilli())
	b = binary.AppendVarint(b, max(0, h.until.Sub(h.from)).Milliseconds())
	b = append(b, byte(len(h.sums)))
	for _, hour := range h.running() {
		s := h.sums[hour]
		flags := byte(0)
		for i, set := range []bool{s.probed, s.metered, s.peakKnown, s.clientsKnown} {
			if set {
				flags |= 1 << i
			}
		}
		b = binary.AppendVarint(b, hour.Sub(h.from.Truncate(time.Hour)).Milliseconds()/hourMs)
		b = append(b, flags)
		if s.probed {
			for _, n := range append([]int64{s.sent, s.lost}, s.rtt...) {
				b = binary.AppendVarint(b, n)
			}
		}
		if s.metered {
			b = binary.AppendVarint(binary.AppendVarint(b, s.rx), s.tx)
		}
		if s.peakKnown {
			b = binary.AppendVarint(binary.AppendVarint(b, s.rxPeak), s.txPeak)
		}
		if s.clientsKnown {
			b = binary.AppendVarint(b, s.clients)
		}
	}
	return b
}

func (r *reader) hours() (h Hours) {
	if r.byte() == 0 {
		return Hours{}
	}
	h.from, h.sums = r.time(), map[time.Time]*sums{}
	h.until = h.from.Add(r.duration())
	if h.until.Sub(h.from) > maxParts*time.Hour {
		r.bad = true
	}
	n := int(r.byte())
	if n > maxParts {
		r.bad = true
	}
	for range n {
		ahead := r.int()
		if ahead < 0 || ahead > 48 {
			r.bad = true
		}
		if r.bad {
			return Hours{}
		}
		s := newSums()
		h.sums[h.from.Truncate(time.Hour).Add(time.Duration(ahead)*time.Hour)] = s
		flags := r.byte()
		if s.probed = flags&1 != 0; s.probed {
			s.sent, s.lost = r.count(), r.count()
			for i := range s.rtt {
				s.rtt[i] = r.count()
			}
		}
		if s.metered = flags&2 != 0; s.metered {
			s.rx, s.tx = r.count(), r.count()
		}
		if s.peakKnown = flags&4 != 0; s.peakKnown {
			s.rxPeak, s.txPeak = r.count(), r.count()
		}
		if s.clientsKnown = flags&8 != 0; s.clientsKnown {
			s.clients = r.count()
		}
		r.bad = r.bad || flags > 15
	}
	return h
}

func (l Life) append(b []byte) []byte {
	id, err := hex.DecodeString(l.Boot)
	if err != nil || len(id) != 4 {
		id = make([]byte, 4)
	}
	b = append(b, id...)
	flags := byte(0)
	if l.Clean {
		flags |= 1
	}
	if !l.At.IsZero() {
		flags |= 2
	}
	if b = append(b, flags); flags&2 != 0 {
		b = binary.AppendVarint(b, l.At.UnixMilli())
	}
	b = binary.AppendVarint(b, l.From.Milliseconds())
	b = binary.AppendVarint(b, l.Slack.Milliseconds())
	b = binary.AppendUvarint(b, uint64(len(l.Stretches)))
	for _, s := range l.Stretches {
		b = append(b, code(s.State, s.Cause))
		b = binary.AppendVarint(b, s.Length.Milliseconds())
		b = binary.AppendVarint(b, s.Err.Milliseconds())
	}
	return b
}

func (r *reader) life() (l Life) {
	if len(r.b) < 4 {
		r.bad = true
		return Life{}
	}
	l.Boot, r.b = hex.EncodeToString(r.b[:4]), r.b[4:]
	flags := r.byte()
	r.bad = r.bad || flags > 3
	if l.Clean = flags&1 != 0; flags&2 != 0 {
		l.At = r.time()
	}
	l.From, l.Slack = r.duration(), r.duration()
	for n := r.uint(); n > 0 && !r.bad; n-- {
		s, c, ok := decode(r.byte())
		r.bad = r.bad || !ok
		l.Stretches = append(l.Stretches, Stretch{State: s, Cause: c, Length: r.duration(), Err: r.duration()})
	}
	return l
}

// codes are the states that a life can be in, by number; 0 is unknown.
func codes() []telemetry.OpenSpan {
	return []telemetry.OpenSpan{{}, {State: telemetry.StateUp}, {State: telemetry.StateDegraded}, {State: telemetry.StateDown, Cause: telemetry.CauseLocal},
		{State: telemetry.StateDown, Cause: telemetry.CauseBackhaul}, {State: telemetry.StateDown, Cause: telemetry.CauseDNS}}
}

func code(s telemetry.State, c telemetry.Cause) byte {
	for i, o := range codes() {
		if o.State == s && o.Cause == c {
			return byte(i)
		}
	}
	return 0
}

func decode(n byte) (telemetry.State, telemetry.Cause, bool) {
	all := codes()
	if int(n) >= len(all) {
		return "", "", false
	}
	return all[n].State, all[n].Cause, true
}

// reader takes numbers off the front. After a mistake it is bad and gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	x := r.b[0]
	r.b = r.b[1:]
	return x
}

func (r *reader) uint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 || x > MaxMemory {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) int() int64 {
	x, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return x
}

// count is an amount: the schema takes none below zero or far beyond what a router can reach.
func (r *reader) count() int64 {
	x := r.int()
	if x < 0 || x > 1<<62 {
		r.bad = true
		return 0
	}
	return x
}

// duration is at most a hundred years of milliseconds.
func (r *reader) duration() time.Duration {
	x := r.count()
	if x > 100*366*24*hourMs {
		r.bad = true
		return 0
	}
	return time.Duration(x) * time.Millisecond
}

func (r *reader) time() time.Time {
	x := r.int()
	if x < 0 || x > 1<<45 {
		r.bad = true
		return time.Time{}
	}
	return time.UnixMilli(x).UTC()
}
