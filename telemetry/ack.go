package telemetry

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Verdict is what became of a batch.
type Verdict string

// The verdicts. Stored means that InfluxDB has every good line; Rejected that nothing of the batch can ever be
// stored and that it lies with the dead letters. After either the agent forgets the batch.
const (
	Stored   Verdict = "stored"
	Rejected Verdict = "rejected"
)

// Bounds on an acknowledgement.
const (
	MaxAck     = 512  // bytes
	MaxAckSpan = 4096 // batches that one acknowledgement speaks of
)

// Ack is the collector's word on one batch, or on a row of them, as text:
//
//	stored 4f2a9c1b 17 1763900000000 last=1763899940000,up,,23000 refused=1 why=line 3: …
//	stored 4f2a9c1b 13-17 1763900000000
//	stored 4f2a9c1b 3,5-7,9 1763900000000
//	stored 4f2a9c1b 17 1763900000000 twin=9b0d77e2
//	rejected #9f3a11c2 0 1763900000000 why=…
//
// Boot and Seq name the batch; Digest does where its header could not be read (Boot is then ""). With First, the verdict is that of
// every batch of this boot from First to Seq; with Also of those before it too, as where several collectors share an agent's batches.
type Ack struct {
	Verdict Verdict
	Boot    string
	First   uint64 // 0: only Seq; otherwise below Seq by less than MaxAckSpan
	Seq     uint64
	Also    string // further batches, all before First: numbers and rows as in the text, "" for none
	Digest  uint32
	Now     time.Time  // the collector's clock, in ms
	Refused int        // lines of a stored batch that became dead letters
	Last    *LastBatch // after a boot: what the last batch of the boot before had said
	Twin    string     // boot of another machine that works as this agent, too; "": none is known
	Why     string     // for a person; "" when all is well
}

// Has tells whether the acknowledgement speaks of that batch of its boot.
func (a Ack) Has(seq uint64) bool {
	if seq == a.Seq || a.First > 0 && a.First <= seq && seq < a.Seq {
		return true
	}
	for part := range strings.SplitSeq(a.Also, ",") {
		if first, last, err := parseSeqs(part); err == nil && (seq == last || first > 0 && first <= seq && seq < last) {
			return true
		}
	}
	return false
}

// LastBatch is the last batch the collector stored before this boot: when it was sealed and what span was open.
type LastBatch struct {
	At   time.Time
	Open OpenSpan
}

// Append writes the acknowledgement behind dst; Why is cut so that the whole stays within MaxAck.
func (a Ack) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(append(dst, a.Verdict...), ' ')
	if a.Boot != "" {
		dst = append(dst, a.Boot...)
	} else {
		dst = fmt.Appendf(dst, "#%08x", a.Digest)
	}
	dst = append(dst, ' ')
	if a.Also != "" {
		dst = append(append(dst, a.Also...), ',')
	}
	if a.First > 0 && a.First < a.Seq {
		dst = append(strconv.AppendUint(dst, a.First, 10), '-')
	}
	dst = append(strconv.AppendUint(dst, a.Seq, 10), ' ')
	dst = strconv.AppendInt(dst, a.Now.UnixMilli(), 10)
	if a.Last != nil {
		o := a.Last.Open
		dst = fmt.Appendf(dst, " last=%d,%s,%s,%d", a.Last.At.UnixMilli(), o.State, o.Cause, o.Length.Milliseconds())
	}
	if a.Twin != "" {
		dst = append(append(dst, " twin="...), a.Twin...)
	}
	if a.Refused > 0 {
		dst = fmt.Appendf(dst, " refused=%d", a.Refused)
	}
	if a.Why != "" {
		why := " why=" + strings.Join(strings.Fields(strings.ToValidUTF8(a.Why, "?")), " ")
		if room := MaxAck - (len(dst) - start); len(why) > room {
			why = strings.ToValidUTF8(why[:room], "")
		}
		dst = append(dst, why...)
	}
	return dst
}

// ParseAck reads an acknowledgement. Unknown words before why= are skipped, so that a newer collector can add some.
func ParseAck(b []byte) (Ack, error) {
	bad := func(what string) (Ack, error) {
		return Ack{}, fmt.Errorf("acknowledgement %.80q: %s: %w", b, what, ErrMalformed)
	}
	if len(b) > MaxAck {
		return Ack{}, fmt.Errorf("acknowledgement of %d bytes: %w of %d", len(b), ErrTooLarge, MaxAck)
	}
	text, why, _ := strings.Cut(string(b), " why=")
	words := strings.Split(text, " ")
	if len(words) < 4 {
		return bad("too few words")
	}
	a := Ack{Verdict: Verdict(words[0]), Why: why}
	if a.Verdict != Stored && a.Verdict != Rejected {
		return bad("verdict is neither stored nor rejected")
	}
	if d, ok := strings.CutPrefix(words[1], "#"); ok {
		n, err := strconv.ParseUint(d, 16, 32)
		if err != nil || len(d) != 8 {
			return bad("digest is not 8 hex digits")
		}
		a.Digest = uint32(n)
	} else if a.Boot = words[1]; !isBoot(a.Boot) {
		return bad("boot is not 8 hex digits")
	}
	var err error
	if a.Also, a.First, a.Seq, err = parseRows(words[2]); err != nil {
		return bad(err.Error())
	}
	if (a.First > 0 || a.Also != "") && a.Boot == "" {
		return bad("a digest names one batch, not a row of them")
	}
	now, err := strconv.ParseInt(words[3], 10, 64)
	if err != nil {
		return bad("clock is not a number")
	}
	a.Now = time.UnixMilli(now).UTC()
	for _, w := range words[4:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "last":
			if a.Last, err = parseLast(value); err != nil {
				return bad(err.Error())
			}
			if a.Last.Open.newer() { // said by this router's own agent when it was a newer one; what it means is not known here
				a.Last = nil
				continue
			}
			if err = a.Last.Open.Check(); err != nil {
				return bad(err.Error())
			}
		case "twin":
			if a.Twin = value; !isBoot(value) {
				return bad("twin is not 8 hex digits")
			}
		case "refused":
			if a.Refused, err = strconv.Atoi(value); err != nil || a.Refused < 0 || a.Refused > MaxLines {
				return bad("refused is not a count")
			}
		}
	}
	return a, nil
}

// parseRows reads "17", "13-17" or "3,5-7,9": what comes before the last row is left as it is written, once it is known to be right.
func parseRows(s string) (also string, first, last uint64, err error) {
	i := strings.LastIndexByte(s, ',')
	if first, last, err = parseSeqs(s[i+1:]); err != nil || i < 0 {
		return "", first, last, err
	}
	next, lowest, begun := uint64(0), uint64(0), false // the lowest number that may come
	for part := range strings.SplitSeq(s, ",") {
		from, to, err := parseSeqs(part)
		if err != nil {
			return "", 0, 0, err
		}
		if from == 0 {
			from = to
		}
		if !begun {
			lowest, begun = from, true
		} else if from < next {
			return "", 0, 0, fmt.Errorf("rows of seqs do not rise")
		}
		next = to + 1
	}
	if last-lowest >= MaxAckSpan {
		return "", 0, 0, fmt.Errorf("batches over a span of %d, at most %d are allowed", last-lowest+1, MaxAckSpan)
	}
	return s[:i], first, last, nil
}

// parseSeqs reads "17" or "13-17". A row of one is that one.
func parseSeqs(s string) (first, last uint64, err error) {
	from, to, row := strings.Cut(s, "-")
	if !row {
		from, to = to, from
	}
	if last, err = strconv.ParseUint(to, 10, 63); err != nil {
		return 0, 0, fmt.Errorf("seq is not a number")
	}
	if !row {
		return 0, last, nil
	}
	first, err = strconv.ParseUint(from, 10, 63)
	switch {
	case err != nil || first == 0 || first > last:
		return 0, 0, fmt.Errorf("seqs are not two rising numbers")
	case last-first >= MaxAckSpan:
		return 0, 0, fmt.Errorf("%d batches at once, at most %d are allowed", last-first+1, MaxAckSpan)
	case first == last:
		first = 0
	}
	return first, last, nil
}

func parseLast(s string) (*LastBatch, error) {
	p := strings.Split(s, ",")
	if len(p) != 4 {
		return nil, fmt.Errorf("last has %d parts, not 4", len(p))
	}
	at, err1 := strconv.ParseInt(p[0], 10, 64)
	ms, err2 := strconv.ParseInt(p[3], 10, 64)
	if err1 != nil || err2 != nil || ms < 0 || ms > hourMs {
		return nil, fmt.Errorf("last has no time and length")
	}
	l := &LastBatch{At: time.UnixMilli(at).UTC(), Open: OpenSpan{State(p[1]), Cause(p[2]), time.Duration(ms) * time.Millisecond}}
	return l, nil
}

// Presence is the retained word on whether an agent's session is alive. Sessions of one agent rise, so an
// offline of an older session than the newest online is a late will and says nothing; but for a router that lost count in a power cut.
type Presence struct {
	Online  bool
	Session uint64
}

// String is "online 17" or "offline 17".
func (p Presence) String() string {
	if p.Online {
		return "online " + strconv.FormatUint(p.Session, 10)
	}
	return "offline " + strconv.FormatUint(p.Session, 10)
}

// maxPresence is more than presence takes, in bytes, with words of agents to come.
const maxPresence = 256

// ParsePresence reads what String wrote. Further words are passed over, so that a newer agent can add some.
func ParsePresence(b []byte) (Presence, error) {
	if len(b) > maxPresence {
		return Presence{}, fmt.Errorf("presence of %d bytes, more than %d: %w", len(b), maxPresence, ErrMalformed)
	}
	word, number, _ := strings.Cut(string(b[:min(len(b), 64)]), " ")
	number, _, _ = strings.Cut(number, " ")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || word != "online" && word != "offline" {
		return Presence{}, fmt.Errorf("presence %.40q is not \"online\" or \"offline\" and a session number: %w", b, ErrMalformed)
	}
	return Presence{Online: word == "online", Session: n}, nil
}
