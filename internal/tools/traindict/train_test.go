package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/telemetry"
	"github.com/smartvillage/nabz/telemetry/pack"
)

func TestEveryBatchOfTheTrainingIsOneThatTheCollectorTakes(t *testing.T) {
	for _, k := range kinds() {
		r := rand.New(rand.NewPCG(5, 5))
		for range 300 {
			text := batch(k, r)
			good, bad, err := telemetry.Parse(text)
			if err != nil || len(bad) > 0 {
				t.Fatalf("%s: %v %v\n%s", k.name, err, bad, text)
			}
			if _, err := telemetry.HeaderOf(&good[0].Line); err != nil {
				t.Fatalf("%s: %v\n%s", k.name, err, text)
			}
		}
	}
}

func TestATrainingGivesTheSameDictionaryAgain(t *testing.T) {
	train := func() []byte {
		b, err := training{id: 3, size: 700, samples: 1, tries: 3, mutation: 5, log: io.Discard}.train()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := train()
	if d, err := pack.Open(b); err != nil || d.ID() != 3 {
		t.Errorf("dictionary: %v", err)
	}
	if !bytes.Equal(b, train()) {
		t.Error("trained again it is another")
	}
	var out strings.Builder
	if err := report(b, 20, &out); err != nil || !strings.Contains(out.String(), "minute ") {
		t.Errorf("reported %q, %v", out.String(), err)
	}
}

func TestAShippedDictionaryIsNotWrittenOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "1.zdict")
	if err := os.WriteFile(file, []byte("shipped"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(file, "1", io.Discard); err == nil || !strings.Contains(err.Error(), "never changes") {
		t.Errorf("got %v", err)
	}
	for _, id := range []string{"0", "256", "x"} {
		if err := run(file+"2", id, io.Discard); err == nil || !strings.Contains(err.Error(), "1 to 255") {
			t.Errorf("id %s: %v", id, err)
		}
	}
}
