package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// verdict is what became of a submitted batch.
type verdict struct {
	refused []store.RefusedLine
	err     error
}

// run starts a writer that ends with the test.
func run(t testing.TB, w *store.Writer) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("writer: %v", err)
		}
	})
}

// submit hands all texts over at once and waits for what became of each.
func submit(t testing.TB, w *store.Writer, tier telemetry.Tier, texts []string) []verdict {
	t.Helper()
	got := make([]verdict, len(texts))
	var wg sync.WaitGroup
	for i, text := range texts {
		wg.Add(1)
		err := w.Submit(t.Context(), tier, []byte(text), func(r []store.RefusedLine, err error) { got[i] = verdict{r, err}; wg.Done() })
		if err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	return got
}

func TestBadLinesAreFoundAndTheirNeighboursStored(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) {
		s := real(t, db, nil)
		if err := s.Write(t.Context(), telemetry.Detail, fmt.Appendf(nil, "m x=1i %d\n", noon.UnixMilli())); err != nil {
			t.Fatal(err)
		}
		requests := 0
		w := store.NewWriter(s, store.WriterOptions{Requests: 1, Lines: 60, Observe: func(telemetry.Tier, int, int, time.Duration, error) { requests++ }})
		run(t, w)
		const batches, lines = 20, 3
		bad := map[[2]int]bool{{2, 1}: true, {7, 0}: true, {7, 1}: true, {7, 2}: true, {19, 2}: true}
		var texts []string
		for b := range batches {
			var text strings.Builder
			for l := range lines {
				value := fmt.Sprintf("%di", b*lines+l)
				if bad[[2]int{b, l}] {
					value = "1.5" // another type than the field has
				}
				fmt.Fprintf(&text, "m,b=%d x=%s %d\n", b, value, noon.UnixMilli()+int64(l))
			}
			texts = append(texts, text.String())
		}
		got := submit(t, w, telemetry.Detail, texts)
		for b, v := range got {
			var want []int
			for l := range lines {
				if bad[[2]int{b, l}] {
					want = append(want, l)
				}
			}
			var indexes []int
			for _, r := range v.refused {
				indexes = append(indexes, r.Index)
				if !strings.Contains(r.Words, "field type conflict") {
					t.Errorf("batch %d: InfluxDB's words are %q", b, r.Words)
				}
			}
			if v.err != nil || !slices.Equal(indexes, want) {
				t.Errorf("batch %d: refused %v (%v), want %v", b, indexes, v.err, want)
			}
		}
		count, err := s.Query(t.Context(), telemetry.Detail, "SELECT count(x) FROM m WHERE b != ''")
		if err != nil || fmt.Sprint(count[0].Values[0][1]) != fmt.Sprint(batches*lines-len(bad)) {
			t.Errorf("stored %v (%v), want %d", count, err, batches*lines-len(bad))
		}
		if requests > 40 {
			t.Errorf("%d requests for 5 bad lines among 60", requests)
		}
	})
}

// fake is a sink that answers as it is told.
type fake struct {
	mu     sync.Mutex
	writes []string
	answer func(text string) error
	hold   chan struct{}
}

func (f *fake) Write(ctx context.Context, _ telemetry.Tier, text []byte) error {
	f.mu.Lock()
	f.writes = append(f.writes, string(text))
	f.mu.Unlock()
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.answer != nil {
		return f.answer(string(text))
	}
	return nil
}

func TestBatchesShareARequestUntilItIsFullOrHasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		w := store.NewWriter(f, store.WriterOptions{Lines: 4, Linger: time.Second})
		run(t, w)
		start := time.Now()
		for _, v := range submit(t, w, telemetry.Detail, []string{"a\nb\n", "c\n", "d\ne\n", "f\n"}) {
			if v.err != nil || v.refused != nil {
				t.Errorf("got %+v, want stored", v)
			}
		}
		if want := []string{"a\nb\nc\nd\ne\n", "f\n"}; !slices.Equal(f.writes, want) {
			t.Errorf("got %q, want %q", f.writes, want)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("the last batch waited %v, want 1s", took)
		}
	})
}

// keeper is a sink that keeps what it was given, as a request that was given up may.
type keeper struct{ kept [][]byte }

func (k *keeper) Write(_ context.Context, _ telemetry.Tier, text []byte) error {
	k.kept = append(k.kept, text)
	return nil
}

func TestATextIsItsOwnersAgainOnceItsVerdictIsThere(t *testing.T) {
	for _, together := range [][]string{{"alone\n"}, {"one\n", "two\n"}} {
		synctest.Test(t, func(t *testing.T) {
			k := &keeper{}
			w := store.NewWriter(k, store.WriterOptions{Lines: 10, Linger: time.Second})
			run(t, w)
			for _, s := range together {
				text := []byte(s)
				if err := w.Submit(t.Context(), telemetry.Detail, text, func([]store.RefusedLine, error) { clear(text) }); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got, want := string(bytes.Join(k.kept, nil)), strings.Join(together, ""); got != want {
				t.Errorf("the request has become %q, want %q", got, want)
			}
		})
	}
}

func TestASmallRequestWaitsWhileAnotherIsUnderWayButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		w := store.NewWriter(f, store.WriterOptions{Lines: 100, Linger: time.Second, Requests: 3})
		run(t, w)
		put := func(text string, then time.Duration, want ...string) {
			t.Helper()
			if err := w.Submit(t.Context(), telemetry.Detail, []byte(text), func([]store.RefusedLine, error) {}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(then)
			f.mu.Lock()
			defer f.mu.Unlock()
			if !slices.Equal(f.writes, want) {
				t.Errorf("%v after %q got %q, want %q", then, text, f.writes, want)
			}
		}
		put("a\n", 1500*time.Millisecond, "a\n")
		put("b\n", 5*time.Second, "a\n")
		put("c\n", 4500*time.Millisecond, "a\n")
		put("d\n", time.Second, "a\n", "b\nc\nd\n") // ten times Linger after b
		put("e\n", 1500*time.Millisecond, "a\n", "b\nc\nd\n")
		close(f.hold)
		put("f\n", time.Second, "a\n", "b\nc\nd\n", "e\nf\n") // nothing is under way any more
	})
}

func TestTroubleReachesEveryBatchAndIsNotCalledARefusal(t *testing.T) {
	gone := errors.New("gone")
	f := &fake{answer: func(text string) error {
		switch {
		case strings.Contains(text, "gone"):
			return gone
		case strings.Contains(text, "bad"):
			return &store.RefusedError{Words: "bad"}
		}
		return nil
	}}
	w := store.NewWriter(f, store.WriterOptions{Lines: 6, Patience: 1})
	run(t, w)
	for _, v := range submit(t, w, telemetry.Ledger, []string{"a\nb\n", "c\ngone\n", "bad\nx\n"}) {
		if !errors.Is(v.err, gone) || v.refused != nil {
			t.Errorf("got %+v, want the error of the whole request", v)
		}
	}
	// Gone between two halves: what was found until then is not told as final.
	w = store.NewWriter(f, store.WriterOptions{Patience: 1}) // the first one tries again in a second
	run(t, w)
	f.answer = func(text string) error {
		if text == "y\n" {
			return gone
		}
		return &store.RefusedError{Words: "bad"}
	}
	if v := submit(t, w, telemetry.Ledger, []string{"x\ny\n"})[0]; !errors.Is(v.err, gone) || v.refused != nil {
		t.Errorf("got %+v, want trouble", v)
	}
}

func TestAStoppedWriterLeavesNobodyWaiting(t *testing.T) {
	f := &fake{hold: make(chan struct{})}
	w := store.NewWriter(f, store.WriterOptions{Lines: 1, Requests: 1})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	told := make(chan error, 1)
	if err := w.Submit(t.Context(), telemetry.Detail, []byte("a\n"), func(_ []store.RefusedLine, err error) { told <- err }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-told; !errors.Is(err, context.Canceled) {
		t.Errorf("the batch under way hears %v, want cancelled", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run returns %v", err)
	}
	if err := w.Submit(t.Context(), telemetry.Detail, []byte("a\n"), nil); !errors.Is(err, store.ErrStopped) {
		t.Errorf("a batch after the end hears %v, want ErrStopped", err)
	}
	if err := w.Submit(t.Context(), 7, []byte("a\n"), nil); err == nil {
		t.Error("a tier that does not exist was accepted")
	}
}
