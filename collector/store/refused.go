package store

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"regexp"
	"slices"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/smartvillage/nabz/telemetry"
)

// ofInfluxDB tells whether a refusal is InfluxDB's own, whole: something on the way to it that answers 400 to all, such as a proxy that wants TLS, must
// not turn every line into a dead letter. That a request is too large may be said by anybody.
func ofInfluxDB(answer *influxhttp.Error) bool {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	cut := answer.Err != nil && !errors.Is(answer.Err, ErrTooLarge) // its many words are cut off here on purpose
	return answer.StatusCode == http.StatusRequestEntityTooLarge || kind == "application/json" && !cut
}

// mostTries bounds the requests that the search for the bad lines of one batch may take. One bad line among 20,000 takes 30; only a batch that
// was made to be a burden takes more, and then what is still in doubt is refused as a whole.
const mostTries = 200

// numbered is a line with its place in the batch.
type numbered struct {
	index int
	text  []byte // with its newline
}

// number takes a batch's text apart.
func number(text []byte) []numbered {
	lines := make([]numbered, 0, bytes.Count(text, []byte{'\n'}))
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		lines = append(lines, numbered{len(lines), text[:end]})
		text = text[end:]
	}
	return lines
}

func join(lines []numbered) []byte {
	var out []byte
	for _, l := range lines {
		out = append(out, l.text...)
	}
	return out
}

// settleOne writes one batch and finds its lines that are refused.
func (w *Writer) settleOne(ctx context.Context, q *queue, text []byte) ([]RefusedLine, error) {
	err := w.write(ctx, q, text)
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return nil, err
	}
	tries := mostTries
	bad, err := w.search(ctx, q, number(text), refused, &tries)
	slices.SortFunc(bad, func(a, b RefusedLine) int { return a.Index - b.Index })
	return bad, err
}

// search parts lines that were refused together, by InfluxDB's words where they tell which lines they are about, else by halves, and writes
// the parts, until it is known which lines are bad.
func (w *Writer) search(ctx context.Context, q *queue, lines []numbered, refused *RefusedError, tries *int) (bad []RefusedLine, err error) {
	if n := len(lines); n <= 1 || refused.Dropped >= n || *tries <= 0 {
		for _, l := range lines {
			bad = append(bad, RefusedLine{l.index, refused.Words})
		}
		return bad, nil
	}
	first, second := split(lines, refused.Words)
	for _, part := range [][]numbered{first, second} {
		*tries--
		err := w.write(ctx, q, join(part))
		var again *RefusedError
		if errors.As(err, &again) {
			var more []RefusedLine
			if more, err = w.search(ctx, q, part, again, tries); err == nil {
				bad = append(bad, more...)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return bad, nil
}

// conflict is how InfluxDB 1.8 and 2.x name a field that has another type there.
var conflict = regexp.MustCompile(`input field "(.+?)" on measurement "(.+?)" is type (float|integer|string|boolean|unsigned), already exists`)

// split parts lines where InfluxDB's words part them, else in the middle. Both parts have lines.
func split(lines []numbered, words string) (first, second []numbered) {
	if m := conflict.FindStringSubmatch(words); m != nil {
		for _, l := range lines {
			if has(l.text, m[2], m[1], m[3]) {
				second = append(second, l)
			} else {
				first = append(first, l)
			}
		}
		if len(first) > 0 && len(second) > 0 {
			return first, second
		}
	}
	return lines[:len(lines)/2], lines[len(lines)/2:]
}

// has tells whether a line holds a field of that type.
func has(line []byte, measurement, field, kind string) bool {
	l, err := telemetry.ParseLine(bytes.TrimSuffix(line, []byte{'\n'}))
	if err != nil || l.Measurement != measurement {
		return false
	}
	kinds := map[lineprotocol.ValueKind]string{lineprotocol.Float: "float", lineprotocol.Int: "integer", lineprotocol.String: "string", lineprotocol.Bool: "boolean", lineprotocol.Uint: "unsigned"}
	for _, f := range l.Fields {
		if f.Key == field {
			return kinds[f.Value.Kind()] == kind
		}
	}
	return false
}
