package telemetry

import (
	_ "embed" // of the dictionary
	"fmt"

	"github.com/smartvillage/nabz/telemetry/pack"
)

// dictionary1 is what agents seal with. It never changes: agents in the field have it, and their spools hold what was sealed with it.
// A better one gets the next number and a place in dictionaries.
//
//go:embed dictionary/1.zdict
var dictionary1 []byte

// dictionaries are all that agents have ever sealed with.
func dictionaries() [][]byte { return [][]byte{dictionary1} }

// Sealer packs batches as an agent sends them, and cannot unpack them: a program that only seals carries neither zstd's decoder nor
// its encoder, whose tables alone take 3 MB. It is safe for concurrent use.
type Sealer struct{ p *pack.Packer }

// NewSealer makes a sealer.
func NewSealer() (*Sealer, error) {
	d, err := pack.Open(dictionary1)
	if err != nil {
		return nil, fmt.Errorf("set up sealing: %w", err)
	}
	return &Sealer{pack.New(d)}, nil
}

// Seal packs text behind dst, as a zstd frame with the newest dictionary. The same text gives the same bytes.
func (s *Sealer) Seal(dst, text []byte) []byte { return s.p.Append(dst, text) }

// Close gives up the sealer's memory; it must not be used after that.
func (s *Sealer) Close() { s.p = nil }
