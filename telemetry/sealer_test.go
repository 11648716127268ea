package telemetry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/smartvillage/nabz/telemetry/pack"
)

// Agents in the field seal with these dictionaries, and their spools hold what was sealed long ago. A line here is never changed, and
// none is taken away.
func TestADictionaryThatWasShippedNeverChanges(t *testing.T) {
	shipped := []string{
		"f9ebe36920a3c147088a3d8c80fa9f6d785e5db96fd216d01da6f2e1f852b269",
	}
	if len(dictionaries()) != len(shipped) {
		t.Fatalf("%d dictionaries, %d were shipped", len(dictionaries()), len(shipped))
	}
	for i, b := range dictionaries() {
		d, err := pack.Open(b)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != shipped[i] || d.ID() != uint32(i+1) {
			t.Errorf("dictionary %d has id %d and SHA-256 %x, want %d and %s", i+1, d.ID(), sum, i+1, shipped[i])
		}
	}
}

func TestWhatWasSealedWithAnyDictionaryOpens(t *testing.T) {
	c := newCodec(t)
	for text, sealed := range map[string]string{ // written by the agent that shipped with it
		"batch seq=17i,boot=\"4f2a9c1b\",clock=\"synced\" 1763900000000\nspan,cause=backhaul,state=down ms=90000i,err_ms=1000i 1763900000000\n": "28b52ffd0118012501000381022757aaa130883370e10a09fc07419c39991dddc440c32b4976af5f3cb10230a407",
	} {
		b, err := hex.DecodeString(sealed)
		if err != nil {
			t.Fatal(err)
		}
		if got, e, err := c.Open(nil, b); err != nil || e != Zstd || string(got) != text {
			t.Errorf("%s\nopened as %q, %v, %v", sealed, got, e, err)
		}
	}
}

func TestADictionaryOfTheFutureIsNamed(t *testing.T) {
	samples := [][]byte{minute(), minute()}
	b, err := pack.Build(200, minute(), samples)
	if err != nil {
		t.Fatal(err)
	}
	d, err := pack.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	c := newCodec(t)
	_, _, err = c.Open(nil, pack.New(d).Append(nil, minute()))
	if !errors.Is(err, ErrNewer) || errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "zstd dictionary 200 is not known here, because this collector is older than the agent; update the collector") {
		t.Errorf("got %v", err)
	}
}

func TestAFrameWithoutADictionaryStillOpens(t *testing.T) {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if got, e, err := newCodec(t).Open(nil, w.EncodeAll(minute(), nil)); err != nil || e != Zstd || !bytes.Equal(got, minute()) {
		t.Errorf("opened as %q, %v, %v", got, e, err)
	}
}

// The budget of the wire rests on this.
func TestAStandardMinuteTakesLittle(t *testing.T) {
	s, err := NewSealer()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(s.Seal(nil, minute())); n > 100 {
		t.Errorf("a minute of %d bytes of text takes %d sealed, want at most 100", len(minute()), n)
	}
}

func TestATextThatIsLongOrStrangeIsSealedToo(t *testing.T) {
	c := newCodec(t)
	for _, text := range []string{"", "x", strings.Repeat(string(minute()), 1000), strings.Repeat("\x00\xff°", 50_000)} {
		sealed, err := c.Seal(nil, []byte(text), Zstd)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := c.Open(nil, sealed); err != nil || string(got) != text {
			t.Errorf("%d bytes of text, %d sealed: opened as %d, %v", len(text), len(sealed), len(got), err)
		}
	}
}
