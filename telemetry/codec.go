package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encoding is how a batch is packed; a reader tells by the first bytes.
type Encoding uint8

// The encodings.
const (
	Plain Encoding = iota
	Gzip
	Zstd
)

// String is "plain", "gzip" or "zstd".
func (e Encoding) String() string { return [...]string{"plain", "gzip", "zstd", "unknown"}[min(e, 3)] }

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// Codec packs and unpacks batches. It is safe for concurrent use. Close frees its buffers.
type Codec struct {
	sealer *Sealer
	dec    *zstd.Decoder
}

// NewCodec makes a codec whose memory is bounded by MaxExpanded.
func NewCodec() (*Codec, error) {
	sealer, err := NewSealer()
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxExpanded),
		zstd.WithDecoderMaxWindow(MaxExpanded), zstd.WithDecoderLowmem(true), zstd.WithDecoderDicts(dictionaries()...))
	if err != nil {
		return nil, fmt.Errorf("set up zstd decoder: %w", err)
	}
	return &Codec{sealer: sealer, dec: dec}, nil
}

// Close frees the codec; it must not be used after that.
func (c *Codec) Close() {
	c.sealer.Close()
	c.dec.Close()
}

// Seal packs text behind dst. The same text gives the same bytes.
func (c *Codec) Seal(dst, text []byte, e Encoding) ([]byte, error) {
	switch e {
	case Plain:
		return append(dst, text...), nil
	case Zstd:
		return c.sealer.Seal(dst, text), nil
	case Gzip:
		b := bytes.NewBuffer(dst)
		w := gzip.NewWriter(b)
		if _, err := w.Write(text); err != nil {
			return dst, fmt.Errorf("gzip batch: %w", err)
		}
		if err := w.Close(); err != nil {
			return dst, fmt.Errorf("gzip batch: %w", err)
		}
		return b.Bytes(), nil
	}
	return dst, fmt.Errorf("seal batch: unknown encoding %d", e)
}

// Open unpacks a payload behind dst, telling the encoding by the magic bytes. A payload over MaxMessage, or one
// that would expand past MaxExpanded, is refused with ErrTooLarge before the memory is spent; one that was sealed with a
// dictionary of a later version with ErrNewer; damaged ones with ErrMalformed.
func (c *Codec) Open(dst, payload []byte) ([]byte, Encoding, error) {
	if len(payload) > MaxMessage {
		return dst, Plain, fmt.Errorf("message of %d bytes: %w of %d", len(payload), ErrTooLarge, MaxMessage)
	}
	switch {
	case len(payload) == 0:
		return dst, Plain, fmt.Errorf("empty message: %w", ErrMalformed)
	case bytes.HasPrefix(payload, gzipMagic):
		out, err := openGzip(dst, payload)
		return out, Gzip, err
	case bytes.HasPrefix(payload, zstdMagic):
		out, err := c.openZstd(dst, payload)
		return out, Zstd, err
	case IsPlain(payload):
		return append(dst, payload...), Plain, nil
	}
	return dst, Plain, fmt.Errorf("message begins with 0x%02x, neither line protocol nor gzip nor zstd: %w", payload[0], ErrMalformed)
}

// IsPlain tells whether a payload is line protocol as it stands, by its first byte. Whether it may be so large, and what it says, has to be seen.
func IsPlain(payload []byte) bool { return len(payload) > 0 && payload[0] >= 'a' && payload[0] <= 'z' }

func openGzip(dst, payload []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(payload))
	if err != nil {
		return dst, fmt.Errorf("gzip: %w: %w", ErrMalformed, err)
	}
	b := bytes.NewBuffer(dst)
	n, err := io.Copy(b, io.LimitReader(r, MaxExpanded+1))
	if n > MaxExpanded {
		return dst, fmt.Errorf("gzip message expands past the limit: %w of %d", ErrTooLarge, MaxExpanded)
	}
	if err != nil {
		return dst, fmt.Errorf("gzip: %w: %w", ErrMalformed, err)
	}
	return b.Bytes(), nil
}

func (c *Codec) openZstd(dst, payload []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(payload); err != nil {
		return dst, fmt.Errorf("zstd: %w: %w", ErrMalformed, err)
	}
	at := len(dst)
	out, err := c.dec.DecodeAll(payload, dst)
	switch {
	case errors.Is(err, zstd.ErrUnknownDictionary):
		return dst, fmt.Errorf("zstd dictionary %d is not known here, because this collector is older than the agent; update the collector: %w", h.DictionaryID, ErrNewer)
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded), err == nil && len(out)-at > MaxExpanded:
		return dst, fmt.Errorf("zstd message expands past the limit: %w of %d", ErrTooLarge, MaxExpanded)
	case err != nil:
		return dst, fmt.Errorf("zstd: %w: %w", ErrMalformed, err)
	}
	return out, nil
}

// castagnoli is the polynomial of CRC-32C (RFC 3720), which common processors compute themselves.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Digest names a payload whose header cannot be read: the CRC-32C of its bytes as they were sent.
func Digest(payload []byte) uint32 { return crc32.Checksum(payload, castagnoli) }
