package ledger

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestRunsWithoutTheTimeArePlacedBetweenTheirNeighbours(t *testing.T) {
	up := func(m float64) []Stretch {
		return []Stretch{{State: telemetry.StateUp, Length: time.Duration(m * float64(time.Minute))}}
	}
	mark := &Last{At: at(0), Mono: time.Hour, Boot: "aaaaaaaa"}
	for _, tt := range []struct {
		name      string
		r         Return
		estimated bool
		want      []string
	}{
		{"one, in the middle of the room it has", Return{Mark: mark, Boot: "cccccccc", Start: at(50), Lives: []Life{{Boot: "bbbbbbbb", Clean: true, Stretches: up(10)}}}, true,
			[]string{"12:00:00 +20m0s off power err 20m0s", "12:20:00 +10m0s up  err 20m0s", "12:30:00 +20m0s off shutdown err 20m0s"}},
		{"two, in their order", Return{Mark: mark, Boot: "dddddddd", Start: at(50), Lives: []Life{{Boot: "bbbbbbbb", Stretches: up(10)}, {Boot: "cccccccc", Stretches: up(10)}}}, true,
			[]string{"12:00:00 +10m0s off power err 20m0s", "12:10:00 +10m0s up  err 20m0s", "12:20:00 +10m0s off power err 20m0s", "12:30:00 +10m0s up  err 20m0s", "12:40:00 +10m0s off power err 20m0s"}},
		{"of this very boot: its place is known", Return{Mark: mark, Boot: "bbbbbbbb", Start: at(50), Up: 30 * time.Minute, Lives: []Life{{Boot: "bbbbbbbb", From: time.Minute, Stretches: up(10)}}}, false,
			[]string{"12:00:00 +21m0s off power err 0s", "12:21:00 +10m0s up  err 0s", "12:31:00 +19m0s off agent err 0s"}},
		{"of the mark's boot: its place is known", Return{Mark: mark, Boot: "bbbbbbbb", Start: at(50), Lives: []Life{{Boot: "aaaaaaaa", From: time.Hour + 5*time.Minute, Stretches: up(10)}}}, false,
			[]string{"12:00:00 +5m0s off agent err 0s", "12:05:00 +10m0s up  err 0s", "12:15:00 +35m0s off power err 0s"}},
		{"it knew the time and had told nothing", Return{Mark: mark, Boot: "cccccccc", Start: at(50), Lives: []Life{{Boot: "bbbbbbbb", At: at(7), Slack: time.Minute, Stretches: up(10)}}}, false,
			[]string{"12:00:00 +7m0s off power err 0s", "12:07:00 +10m0s up  err 1m0s", "12:17:00 +33m0s off power err 1m0s"}},
		{"longer than the room: a clock was wrong, and nothing is told", Return{Mark: mark, Boot: "cccccccc", Start: at(50), Lives: []Life{{Boot: "bbbbbbbb", Stretches: up(51)}}}, false, nil},
		{"the first runs ever: there is no neighbour before", Return{Boot: "cccccccc", Start: at(50), Lives: []Life{{Boot: "bbbbbbbb", Stretches: up(10)}}}, false, nil},
		{"the first run ever, started twice in its boot", Return{Boot: "bbbbbbbb", Start: at(50), Up: 30 * time.Minute, Lives: []Life{{Boot: "bbbbbbbb", From: time.Minute, Stretches: up(10)}}}, false,
			[]string{"12:21:00 +10m0s up  err 0s", "12:31:00 +19m0s off agent err 0s"}},
		{"what it did not see stays unknown", Return{Mark: mark, Boot: "bbbbbbbb", Start: at(50), Up: 30 * time.Minute, Lives: []Life{{Boot: "bbbbbbbb", Clean: true,
			Stretches: []Stretch{{State: telemetry.StateUp, Length: time.Minute}, {Length: time.Hour / 4}, {State: telemetry.StateDown, Cause: telemetry.CauseDNS, Length: time.Minute, Err: time.Second}}}}}, false,
			[]string{"12:00:00 +20m0s off power err 0s", "12:20:00 +1m0s up  err 0s", "12:36:00 +1m0s down dns err 1s", "12:37:00 +13m0s off agent err 0s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l Ledger
			spans, estimated := l.Resume(tt.r)
			expect(t, spans, tt.want...)
			if estimated != tt.estimated {
				t.Errorf("estimated is %v", estimated)
			}
		})
	}
}

func TestTheCollectorsWordTellsWhatAStaleMarkCannot(t *testing.T) {
	up := func(m int) telemetry.OpenSpan {
		return telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Duration(m) * time.Minute}
	}
	gone, came := telemetry.OpenSpan{State: telemetry.StateOff, Cause: telemetry.CauseShutdown}, telemetry.OpenSpan{State: telemetry.StateOff, Cause: telemetry.CauseAgent}
	mark := Last{At: at(5), Open: up(5), Boot: "aaaaaaaa"}
	down := telemetry.OpenSpan{State: telemetry.StateDown, Cause: telemetry.CauseLocal, Length: 4 * time.Minute}
	for _, tt := range []struct {
		name string
		r    Return
		want []string
	}{
		{"another span was open since, so that of the mark was told, or is lost", Return{Mark: &mark, Batch: &telemetry.LastBatch{At: at(20), Open: down}, Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:16:00 +4m0s down local err 2m0s", "12:20:00 +10m0s off power err 2m0s"}},
		{"a clean stop that only the collector knows of", Return{Mark: &mark, Batch: &telemetry.LastBatch{At: at(20), Open: gone}, Boot: "bbbbbbbb", Start: at(30)}, []string{"12:20:00 +10m0s off shutdown err 0s"}},
		{"the same without any mark", Return{Batch: &telemetry.LastBatch{At: at(20), Open: gone}, Boot: "bbbbbbbb", Start: at(30)}, []string{"12:20:00 +10m0s off shutdown err 0s"}},
		{"a start that left nothing else", Return{Batch: &telemetry.LastBatch{At: at(20), Open: came}, Boot: "bbbbbbbb", Start: at(30)}, []string{"12:20:00 +10m0s off power err 2m0s"}},
		{"both missing", Return{Boot: "bbbbbbbb", Start: at(30)}, nil},
		{"a header that guessed its time", Return{Batch: &telemetry.LastBatch{At: at(20)}, Boot: "bbbbbbbb", Start: at(30)}, nil},
		{"the machine has been up for long, and no mark tells what it did", Return{Batch: &telemetry.LastBatch{At: at(5), Open: up(5)}, Boot: "bbbbbbbb", Start: at(50), Up: 20 * time.Minute},
			[]string{"12:00:00 +5m0s up  err 2m0s", "12:05:00 +25m0s off power err 2m0s"}},
		{"a batch of another boot, later than the mark of this one: its clock was ahead", Return{Mark: &Last{At: at(25), Boot: "bbbbbbbb"}, Batch: &telemetry.LastBatch{At: at(28), Open: up(1)}, Boot: "bbbbbbbb", Start: at(30)},
			[]string{"12:28:00 +2m0s off agent err 1m0s"}},
		{"a batch from the future: up to there it may have told anything", Return{Mark: &mark, Batch: &telemetry.LastBatch{At: at(300), Open: up(1)}, Boot: "bbbbbbbb", Start: at(30)}, []string{"12:00:00 +5m0s up  err 1m0s"}},
		{"a guess from the future", Return{Mark: &mark, Batch: &telemetry.LastBatch{At: at(300)}, Boot: "bbbbbbbb", Start: at(30)}, []string{"12:00:00 +5m0s up  err 1m0s", "12:05:00 +25m0s off power err 1m0s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Slack, tt.r.BatchSlack = time.Minute, 2*time.Minute
			var l Ledger
			spans, _ := l.Resume(tt.r)
			expect(t, spans, tt.want...)
		})
	}
}
