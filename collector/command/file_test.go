package command

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestCommandsOutliveARestartAndATornFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDesk(t, dir)
		done := d.asks(gokina, telemetry.CommandDiagnostics)
		d.says(gokina, done, telemetry.ResultDone, "seen", []byte("agent")...)
		under := d.asks(passu, telemetry.CommandSpeedtest)
		d.says(passu, under, telemetry.ResultAccepted, "")
		file := filepath.Join(dir, "commands.jsonl")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		torn := string(text) + "rubbish\n{\"id\":\"9f3a11c24f2a9c1b\",\"kind\":\"speedtest\"}\n" + string(text[:30])
		if err := os.WriteFile(file, []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}

		again := newDesk(t, dir)
		if now := again.now(done); now.State != Done || now.Data != "agent" || now.Who != "aisha" {
			t.Errorf("after the restart: %+v", now)
		}
		if now := again.now(under); now.State != Accepted {
			t.Errorf("one under way: %+v", now)
		}
		stop := again.runs()
		defer stop()
		synctest.Wait()
		if len(again.sent) != 1 || again.sent[0] != d.sent[1] {
			t.Errorf("after the restart %q is sent, want what the run before had sent: %q", again.sent, d.sent[1])
		}
		again.says(passu, under, telemetry.ResultDone, "down 1 Mbit/s")
		if third := newDesk(t, dir); third.now(under).State != Done {
			t.Errorf("after a second restart: %+v", third.now(under))
		}
	})
}

func TestALineThatLacksOnlyItsEndDoesNotSpoilTheNext(t *testing.T) {
	dir := t.TempDir()
	d := newDesk(t, dir)
	first := d.asks(gokina, telemetry.CommandDiagnostics)
	file := filepath.Join(dir, "commands.jsonl")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, text[:len(text)-1], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := newDesk(t, dir)
	second := again.asks(passu, telemetry.CommandSpeedtest)
	third := newDesk(t, dir)
	third.now(first)
	third.now(second)
}

func TestNoAgentsWordsMakeTheFileLargerThanIsRead(t *testing.T) {
	d := newDesk(t, t.TempDir())
	c := d.asks(gokina, telemetry.CommandDiagnostics)
	for _, state := range []telemetry.ResultState{telemetry.ResultAccepted, telemetry.ResultDone} {
		packed, err := d.codec.Seal(nil, []byte(strings.Repeat("<&>\u2028\n\x01\u009b", telemetry.MaxResultData/12)), telemetry.Zstd)
		if err != nil {
			t.Fatal(err)
		}
		d.says(gokina, c, state, "", packed...)
	}
	most := int64(maxFile / (3*inAllMost + 2) * 3) // of the lines of one command, where all are like that
	info, err := os.Stat(d.file.path)
	if now := d.now(c); err != nil || now.State != Done || len(now.Data) < telemetry.MaxResultData/2 || info.Size() > most {
		t.Errorf("a command with %d bytes of data takes %d on disk, want %d at most (%v)", len(now.Data), info.Size(), most, err)
	}
}

func TestCommandsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDesk(t, dir)
		d.inAll = 50
		lines, size := 0, int64(0)
		for n := range 200 {
			a := telemetry.Address{Site: fmt.Sprintf("site-%d", n%8), Agent: "main"}
			c, err := d.Ask(fmt.Sprint("operator-", n%30), "", a, telemetry.CommandDiagnostics)
			if err != nil {
				t.Fatal(n, err)
			}
			d.says(a, c, telemetry.ResultAccepted, "")
			d.says(a, c, telemetry.ResultDone, fmt.Sprint(n))
			time.Sleep(2 * time.Minute)
			lines = max(lines, d.file.lines)
			if i, err := os.Stat(d.file.path); err == nil {
				size = max(size, i.Size())
			}
		}
		all := d.Of("site-7")
		if len(all) > perSite || all[0].Text != "199" || len(d.all) > d.inAll {
			t.Errorf("%d commands of a site, the newest %q, %d of all", len(all), all[0].Text, len(d.all))
		}
		if lines > 3*d.inAll+2 || size > 100<<10 {
			t.Errorf("the file had %d lines, %d bytes", lines, size)
		}
		if again := newDesk(t, dir); len(again.all) < len(d.all) || again.Of("site-7")[0].ID != all[0].ID {
			t.Errorf("after a restart there are %d of %d", len(again.all), len(d.all))
		}
	})
}

func FuzzFile(f *testing.F) {
	line, _ := json.Marshal(Command{ID: "9f3a11c24f2a9c1b", Kind: "speedtest", Site: "gokina", Agent: "main", Who: "aisha", Asked: time.UnixMilli(1763900000000), State: Done})
	f.Add(append(line, '\n'))
	f.Add([]byte("{}\n\nnull\n[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, bad := parse(data)
		var again []byte
		for i := range all {
			line, err := json.Marshal(all[i])
			if err != nil {
				t.Fatalf("%+v was taken and cannot be written: %v", all[i], err)
			}
			again = append(append(again, line...), '\n')
		}
		if got, worse := parse(again); worse > 0 || len(got) != len(all) {
			t.Fatalf("%q: %d commands and %d bad lines became %d and %d", data, len(all), bad, len(got), worse)
		}
	})
}
