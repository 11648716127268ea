package pack

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/internal/testneed"
)

// notes are texts that look alike.
func notes(n int) (out [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		out = append(out, fmt.Appendf(nil, "note number=%di,by=\"%08x\" %d\nweather rain_mm=%.1f,sun_h=%d %d\n", r.IntN(1e6), r.Uint32(), 1e12+r.Int64N(1e12), r.Float64()*30, r.IntN(12), 1e12+r.Int64N(1e12)))
	}
	return out
}

// both returns a packer and a decoder that is not ours.
func both(t testing.TB, id uint32) (*Packer, *zstd.Decoder, []byte) {
	t.Helper()
	b, err := Build(id, bytes.Join(notes(5), nil), notes(100))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(b)
	if err != nil || d.ID() != id {
		t.Fatalf("dictionary %d: %v", d.ID(), err)
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderDicts(b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return New(d), r, b
}

func TestWhatIsPackedAnotherDecoderOpens(t *testing.T) {
	p, r, _ := both(t, 1)
	all := bytes.Join(notes(3000), nil)
	noise := make([]byte, 40_000)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	texts := map[string][]byte{
		"nothing": nil, "a byte": []byte("x"), "a note": notes(1)[0], "bytes without a code": []byte("température 25 °C\x00\x01"),
		"just a block": all[:blockSize], "a block and a byte": all[:blockSize+1], "many blocks": all, "noise": noise,
		"one byte again and again": bytes.Repeat([]byte("a"), 100_000), "a period": bytes.Repeat([]byte("abcabd"), 5000),
		"noise between notes": bytes.Join([][]byte{all[:5000], noise[:9000], all[:30_000], noise}, nil), "digits": []byte(strings.Repeat("3141592653589793238462643383279502884197169399375105820974944592", 60)),
	}
	for name, text := range texts {
		packed := p.Append([]byte("head"), text)
		got, err := r.DecodeAll(packed[4:], nil)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes packed to %d came back as %d, %v", name, len(text), len(packed)-4, len(got), err)
		}
		if again := p.Append(nil, text); !bytes.Equal(again, packed[4:]) {
			t.Errorf("%s: packed again it is not the same", name)
		}
		if most := len(text) + 3*(len(text)/blockSize+1) + 12; len(packed)-4 > most {
			t.Errorf("%s: %d bytes became %d, more than %d", name, len(text), len(packed)-4, most)
		}
	}
}

func TestAnyTextComesBack(t *testing.T) {
	p, r, _ := both(t, 70_000)
	words := notes(20)
	rapid.Check(t, func(t *rapid.T) {
		var text []byte
		for range rapid.IntRange(0, 40).Draw(t, "parts") {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				text = append(text, rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "bytes")...)
			case 1:
				text = append(text, words[rapid.IntRange(0, 19).Draw(t, "note")]...)
			case 2:
				if n := len(text); n > 0 {
					a := rapid.IntRange(0, n-1).Draw(t, "from")
					text = append(text, text[a:rapid.IntRange(a, n).Draw(t, "to")]...)
				}
			case 3:
				text = append(text, bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(0, 6000).Draw(t, "times"))...)
			}
		}
		got, err := r.DecodeAll(p.Append(nil, text), nil)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%d bytes came back as %d, %v", len(text), len(got), err)
		}
	})
}

func TestTheReferenceProgramOpensWhatIsPacked(t *testing.T) {
	program := testneed.Program(t, "zstd", "apt-get install zstd")
	p, _, b := both(t, 9)
	dir := t.TempDir()
	dict, packed := filepath.Join(dir, "dictionary"), filepath.Join(dir, "packed.zst")
	text := bytes.Join(notes(400), nil)
	if err := errors.Join(os.WriteFile(dict, b, 0o600), os.WriteFile(packed, p.Append(nil, text), 0o600)); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command(program, "-q", "-d", "-c", "-D", dict, packed).Output()
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("zstd gives %d bytes of %d: %v", len(got), len(text), err)
	}
}

func TestWhatLooksLikeTheSamplesGetsSmall(t *testing.T) {
	p, _, _ := both(t, 1)
	text, packed := 0, 0
	for _, s := range notes(300)[100:] { // not those of the training
		text, packed = text+len(s), packed+len(p.Append(nil, s))
	}
	if packed*5 > text*3 { // most of them is random
		t.Errorf("%d bytes of text take %d", text, packed)
	}
}

func TestADamagedDictionaryIsRefused(t *testing.T) {
	_, _, b := both(t, 1)
	for n := range len(b) {
		if _, err := Open(b[:n]); err == nil && n < len(b)-400 || err != nil && !errors.Is(err, ErrDictionary) {
			t.Errorf("cut to %d bytes of %d: %v", n, len(b), err)
		}
	}
	for i := range 300 {
		bad := bytes.Clone(b)
		bad[i] ^= 0x55
		d, err := Open(bad)
		if i < 4 && err == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
		if err == nil {
			New(d).Append(nil, notes(1)[0]) // useless perhaps, but safe
		}
	}
}

func TestTheSameSamplesGiveTheSameDictionary(t *testing.T) {
	_, _, a := both(t, 1)
	_, _, b := both(t, 1)
	if !bytes.Equal(a, b) {
		t.Error("two dictionaries of the same samples differ")
	}
	if _, err := Build(1, []byte("short"), notes(1)); err == nil {
		t.Error("a dictionary of five bytes was made")
	}
}

func FuzzAppend(f *testing.F) {
	p, r, _ := both(f, 1)
	f.Add(notes(1)[0])
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaab"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := r.DecodeAll(p.Append(nil, text), nil)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%q came back as %q, %v", text, got, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	_, _, b := both(f, 1)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := Open(b); err == nil {
			New(d).Append(nil, []byte("note number=12i,by=\"00112233\" 1500000000000\n"))
		}
	})
}
