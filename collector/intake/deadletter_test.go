package intake

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/telemetry"
)

func openLetters(t *testing.T, dir string, bound int64) *deadLetters {
	t.Helper()
	d, err := openDeadLetters(dir, bound, letterMetrics{prometheus.NewCounter(prometheus.CounterOpts{Name: "w"}), prometheus.NewCounter(prometheus.CounterOpts{Name: "d"})})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func folderSize(t *testing.T, dir string) (size int64, names []string) {
	t.Helper()
	names, _ = filepath.Glob(filepath.Join(dir, "*"))
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size, names
}

func TestOldDeadLettersMakeRoomForNewOnesWithinTheBound(t *testing.T) {
	dir := t.TempDir()
	const bound = 16 << 10
	d := openLetters(t, dir, bound)
	for n := range 200 {
		if err := d.Append(clinic, []letter{{From: "a/b", Reason: fmt.Sprint(n), Payload: bytes.Repeat([]byte{byte(n)}, 300)}}); err != nil {
			t.Fatal(err)
		}
		if size, _ := folderSize(t, dir); size > bound {
			t.Fatalf("folder holds %d bytes, over its bound of %d", size, bound)
		}
	}
	kept := letters(t, &Intake{rules: &rules{c: Config{DeadLetters: dir}}})
	if first, last := kept[0].Reason, kept[len(kept)-1].Reason; last != "199" || first != fmt.Sprint(200-len(kept)) {
		t.Errorf("letters %s to %s are kept, want the newest %d", first, last, len(kept))
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(d.m.dropped)
	if n := value(t, reg, "d", ""); int(n) != 200-len(kept) {
		t.Errorf("%v counted as dropped, want %d", n, 200-len(kept))
	}
	if err := d.Append(clinic, []letter{{Payload: make([]byte, bound)}}); err == nil {
		t.Error("a letter larger than the bound was written")
	}
}

func TestATornLetterIsCutOffAndItsNeighboursStay(t *testing.T) {
	dir := t.TempDir()
	d := openLetters(t, dir, 1<<20)
	for n := range 3 {
		if err := d.Append(clinic, []letter{{From: "a/b", Reason: fmt.Sprint(n)}}); err != nil {
			t.Fatal(err)
		}
	}
	_, names := folderSize(t, dir)
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	second := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for cut := second + 1; cut < len(whole); cut += 7 {
		if err := os.WriteFile(names[0], whole[:cut], 0o640); err != nil {
			t.Fatal(err)
		}
		d := openLetters(t, dir, 1<<20)
		if err := d.Append(clinic, []letter{{From: "a/b", Reason: "new"}}); err != nil {
			t.Fatal(err)
		}
		got := letters(t, &Intake{rules: &rules{c: Config{DeadLetters: dir}}})
		if len(got) != 3 || got[0].Reason != "0" || got[1].Reason != "1" || got[2].Reason != "new" {
			t.Fatalf("cut at %d: %+v", cut, got)
		}
		_, now := folderSize(t, dir)
		for _, n := range now[1:] {
			if err := os.Remove(n); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestADeadLetterThatCannotBeWrittenStopsTheAcknowledgement(t *testing.T) {
	i, w, _ := start(t, nil)
	if err := os.RemoveAll(i.c.DeadLetters); err != nil {
		t.Fatal(err)
	}
	i.Deliver(clinic.Topic("data"), []byte("\x00"))
	if err := i.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.acks) > 0 {
		t.Errorf("got %+v without a dead letter on disk", w.next(t))
	}
}

func TestOneAgentsDeadLettersDoNotPushOutThoseOfOthers(t *testing.T) {
	dir := t.TempDir()
	const bound = 64 << 10
	d := openLetters(t, dir, bound)
	modest := telemetry.Address{Site: "quiet", Agent: "main"}
	for n := range 5 {
		if err := d.Append(modest, []letter{{From: modest.String(), Batch: fmt.Sprint("00000001 ", n), Reason: "kept", Payload: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2000 {
		if err := d.Append(clinic, []letter{{From: clinic.String(), Reason: fmt.Sprint(n), Payload: bytes.Repeat([]byte{byte(n)}, 300)}}); err != nil {
			t.Fatal(err)
		}
		if n == 1000 {
			d = openLetters(t, dir, bound) // after a restart, too
		}
	}
	if size, _ := folderSize(t, dir); size > bound || size < bound*3/4 {
		t.Errorf("folder holds %d bytes of %d", size, bound)
	}
	kept := map[string]int{}
	for _, l := range letters(t, &Intake{rules: &rules{c: Config{DeadLetters: dir}}}) {
		kept[l.From]++
	}
	if kept[modest.String()] != 5 || kept[clinic.String()] < 50 {
		t.Errorf("kept %v, want all 5 of the modest agent", kept)
	}
	// Nobody has more than the others in the end.
	for a := range 20 {
		for range 40 {
			from := telemetry.Address{Site: fmt.Sprint("s", a), Agent: "main"}
			if err := d.Append(from, []letter{{From: from.String(), Payload: bytes.Repeat([]byte{1}, 300)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	sizes := map[string]int64{}
	for who, files := range d.files {
		for _, f := range files {
			sizes[who] += f.size
		}
	}
	for a := range 20 {
		if s := sizes[fmt.Sprintf("s%d.main", a)]; s < bound/40 || s > bound/10 {
			t.Errorf("agent %d of 20 has %d bytes of %d (%v)", a, s, bound, sizes)
		}
	}
}

func TestFilesOfTheFirstVersionAreGoneOnWith(t *testing.T) {
	dir := t.TempDir()
	old := `{"at":"2025-11-03T12:00:00Z","from":"mbarara/clinic","batch":"4f2a9c1b 3","line":2,"reason":"old","payload":"eA=="}` + "\n"
	for _, n := range []string{"0000000004.jsonl", "0000000005.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, n), []byte(old), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	d := openLetters(t, dir, 1<<20)
	if err := d.Append(clinic, []letter{{At: now, From: clinic.String(), Reason: "new", Payload: []byte("\x00")}}); err != nil {
		t.Fatal(err)
	}
	if _, names := folderSize(t, dir); len(names) != 3 || filepath.Base(names[2]) != "0000000006.mbarara.clinic.jsonl" {
		t.Errorf("files are %v", names)
	}
	list, err := ListDeadLetters(dir, "", false)
	if err != nil || len(list) != 2 || list[0].Reason != "old" && list[1].Reason != "old" {
		t.Errorf("listed %+v (%v), want the old letter, which is there twice, as one, and the new one", list, err)
	}
}

func TestABatchWithManyBadLinesIsKeptAsTheMessageThatItWas(t *testing.T) {
	i, w, _ := start(t, nil)
	text := header(3, "4f2a9c1b") + strings.Repeat("host,x=y uptime_s=1i 1762171200000\n", 5000) + host(now)
	payload, err := i.codec.Seal(nil, []byte(text), telemetry.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	i.Deliver(clinic.Topic(telemetry.KindData), payload)
	if ack := w.next(t); ack.Verdict != telemetry.Stored || ack.Refused != 5000 {
		t.Errorf("got %+v", ack)
	}
	if got := letters(t, i); len(got) != 1 || !bytes.Equal(got[0].Payload, payload) || got[0].Count != 5000 {
		t.Errorf("%d letters; want one, the message with 5000 bad lines", len(got))
	}
	size, _ := folderSize(t, i.c.DeadLetters)
	if most := int64(len(payload))*4/3 + 1000; size > most {
		t.Errorf("a message of %d bytes took %d on the disk", len(payload), size)
	}
}
