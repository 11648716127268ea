package telemetry

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// windowBytes is the zstd window: a batch is small and a router's memory is too.
const windowBytes = 128 << 10

// Sealer packs batches as an agent sends them, and cannot unpack them: a program that only seals does not carry the decoder. It is
// safe for concurrent use. Close frees its buffers.
type Sealer struct{ enc *zstd.Encoder }

// NewSealer makes a sealer.
func NewSealer() (*Sealer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowBytes),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd encoder: %w", err)
	}
	return &Sealer{enc: enc}, nil
}

// Seal packs text behind dst. The same text gives the same bytes.
func (s *Sealer) Seal(dst, text []byte) []byte { return s.enc.EncodeAll(text, dst) }

// Close frees the sealer; it must not be used after that.
func (s *Sealer) Close() { _ = s.enc.Close() } // writes nothing: only EncodeAll is used
