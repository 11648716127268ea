package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrNotReport is in the error of bytes that are no report of this definition.
var ErrNotReport = errors.New("not a report")

// Canonical is the report as JSON in the one way of RFC 8785 (JSON Canonicalization Scheme): keys sorted, no space, one line without an end.
// Whoever reads the report and writes it in that way again gets the same bytes.
func (r Report) Canonical() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return canonical(b)
}

func canonical(b []byte) ([]byte, error) {
	v := jsontext.Value(b)
	if err := v.Canonicalize(); err != nil {
		return nil, fmt.Errorf("write JSON in its canonical form: %w", err)
	}
	return v, nil
}

// Hash is the SHA-256 of canonical JSON in hexadecimal digits, as sha256sum prints it.
func Hash(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// Parse reads a report from JSON, in canonical form or not, and returns its canonical bytes too: those that were given, in their one form.
func Parse(b []byte) (r Report, bytes []byte, err error) {
	bytes, err = canonical(append([]byte{}, b...))
	if err != nil {
		return r, nil, fmt.Errorf("%w: %w", ErrNotReport, err)
	}
	if err := json.Unmarshal(bytes, &r); err != nil {
		return r, nil, fmt.Errorf("%w: %w", ErrNotReport, err)
	}
	if r.Definition != Definition {
		return r, nil, fmt.Errorf("%w of definition %s, but of %q; use the release of nabz that made it", ErrNotReport, Definition, r.Definition)
	}
	return r, bytes, nil
}
