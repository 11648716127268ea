package walk

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/smartvillage/nabz/internal/release"
)

// record names the release whose words are written down for good, into telemetry/testdata/releases; make fixtures sets it.
const record = "NABZ_RECORD_RELEASE"

// TestARecordedReleaseSaysEachThingThatGoesOverTheWire has agent and collector of one release say all that there is to be said between them.
func TestARecordedReleaseSaysEachThingThatGoesOverTheWire(t *testing.T) {
	eachRelease(t, func(t *testing.T, r release.Release, bin string) {
		dir := filepath.Join("..", "..", "telemetry", "testdata", "releases", r.Version)
		m := newMixed(t, bin, bin, true)
		live(t, m)
		for kind, least := range map[string]int{"enrol-request": 1, "enrol-answer": 1, "data": 10, "ack": 5, "presence": 4, "will": 2, "command": 2, "result": 4} {
			if n := len(m.tap.heard(kind)); n < least {
				t.Errorf("%d of kind %s were heard, want %d at least", n, kind, least)
			}
		}
		if os.Getenv(record) != r.Version || t.Failed() {
			return
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o755), os.Mkdir(dir, 0o755)); err != nil {
			t.Fatalf("%v; what was recorded never changes", err)
		}
		f, err := os.Create(filepath.Join(dir, "wire.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out := json.NewEncoder(f)
		out.SetEscapeHTML(false)
		for _, one := range m.tap.said {
			said := struct {
				Kind  string `json:"kind"`
				Text  string `json:"text,omitempty"`
				Bytes []byte `json:"bytes,omitempty"` // in base64, where it is no text
			}{Kind: one.kind}
			if said.Text = string(one.payload); !utf8.ValidString(said.Text) {
				said.Text, said.Bytes = "", one.payload
			}
			if err := out.Encode(said); err != nil {
				t.Fatal(err)
			}
		}
	})
}
