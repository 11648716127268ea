package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestALinkLeadsToItsReportUntilItIsRevokedOrOver(t *testing.T) {
	a, dir := open(t)
	now := october.AddDate(0, 2, 0)
	a.now = func() time.Time { return now }
	daemon := New(dir, a.now) // another process, which was there before
	publish(t, a, "x", `{"up":1}`)
	token, s, err := a.Share("x", "for the ministry", "aisha", now.AddDate(0, 0, 30))
	if err != nil || !regexp.MustCompile(`^[A-Za-z0-9_-]{24}$`).MatchString(token) {
		t.Fatal(token, err)
	}
	if got, err := daemon.Follow(token); err != nil || got.Report != "x" || got.ID != s.ID || got.Label != "for the ministry" || got.Who != "aisha" {
		t.Errorf("it leads to %+v, %v", got, err)
	}
	publish(t, a, "x", `{"up":2}`) // a correction reaches who has the link
	if s, err := daemon.Follow(token); err != nil {
		t.Error(err)
	} else if r, _, err := daemon.Get(s.Report, 0); err != nil || r.Number != 2 {
		t.Errorf("the newest is %+v, %v", r, err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	for _, f := range files {
		if b, _ := os.ReadFile(f); strings.Contains(string(b), token) || strings.Contains(f, token) {
			t.Errorf("%s holds the token", f)
		}
	}
	if _, err := a.Revoke(s.ID, "bilal"); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Follow(token); !errors.Is(err, ErrShare) {
		t.Errorf("revoked: %v", err)
	}
	now = now.Add(time.Hour)
	if again, err := a.Revoke(s.ID, "carl"); err != nil || again.RevokedBy != "bilal" {
		t.Errorf("revoked again: %+v, %v", again, err)
	}
	all, err := daemon.Shares()
	if err != nil || len(all) != 1 || all[0].RevokedBy != "bilal" || all[0].Open(now) {
		t.Errorf("the list is %+v, %v", all, err)
	}

	token, _, err = a.Share("x", "for a day", "aisha", now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(24*time.Hour - time.Second)
	if _, err := daemon.Follow(token); err != nil {
		t.Error(err)
	}
	now = now.Add(time.Second)
	if _, err := daemon.Follow(token); !errors.Is(err, ErrShare) {
		t.Errorf("over: %v", err)
	}
	if token, _, err = a.Share("x", "without an end", "aisha", time.Time{}); err != nil {
		t.Fatal(err)
	}
	now = now.AddDate(50, 0, 0)
	if _, err := daemon.Follow(token); err != nil {
		t.Error(err)
	}
}

func TestNothingButTheTokenOpensAShare(t *testing.T) {
	a, dir := open(t)
	publish(t, a, "x", `{}`)
	token, s, err := a.Share("x", "l", "aisha", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	other := "A" + token[1:]
	if token[0] == 'A' {
		other = "B" + token[1:]
	}
	for _, wrong := range []string{"", s.ID, s.Token, token[:23], token + "A", token[:23] + "=", other, "../" + s.ID, strings.Repeat("A", 24), token + "\n", " " + token} {
		if _, err := a.Follow(wrong); !errors.Is(err, ErrShare) || err.Error() != ErrShare.Error() {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	// Another token with the same short id, which nobody finds, is another token all the same.
	file := filepath.Join(dir, "report-shares", s.ID+shareEnd)
	s.Token = s.Token[:12] + strings.Repeat("0", 52)
	if err := errors.Join(os.Remove(file), os.WriteFile(file, s.encode(), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Follow(token); !errors.Is(err, ErrShare) {
		t.Error(err)
	}
}

func TestWhatCannotBeSharedOrRevokedIsToldInOneSentence(t *testing.T) {
	a, _ := open(t)
	publish(t, a, "x", `{}`)
	if _, _, err := a.Share("y", "l", "aisha", time.Time{}); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	for _, tt := range []struct {
		label, who string
		until      time.Time
		want       string
	}{
		{"", "aisha", time.Time{}, "share a report: the label is empty"},
		{"l", "", time.Time{}, "share a report: the name of who shares is empty"},
		{"l", "aisha", october, "share a report: it would end on 2026-10-01, which is over"},
	} {
		if _, _, err := a.Share("x", tt.label, tt.who, tt.until); fmt.Sprint(err) != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	for _, id := range []string{"", "0123456789ab", "../../x", "0123456789AB"} {
		if _, err := a.Revoke(id, "aisha"); !errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestTheLastUseIsWrittenOnceAnHourAtMost(t *testing.T) {
	a, dir := open(t)
	now := october
	a.now = func() time.Time { return now }
	publish(t, a, "x", `{}`)
	token, s, err := a.Share("x", "l", "aisha", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if all, _ := a.Shares(); !all[0].Used.IsZero() {
		t.Errorf("used %v before anybody did", all[0].Used)
	}
	for minute, want := range map[int]int{0: 0} { // the first is written
		now = october.Add(time.Duration(minute) * time.Minute)
		a.Follow(token)
		if all, _ := a.Shares(); !all[0].Used.Equal(october.Add(time.Duration(want) * time.Minute)) {
			t.Errorf("after %d min: %v", minute, all[0].Used)
		}
	}
	for _, step := range []struct{ minute, want int }{{59, 0}, {60, 60}, {119, 60}, {180, 180}} {
		now = october.Add(time.Duration(step.minute) * time.Minute)
		a.Follow(token)
		if all, _ := a.Shares(); !all[0].Used.Equal(october.Add(time.Duration(step.want) * time.Minute)) {
			t.Errorf("after %d min: %v", step.minute, all[0].Used)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "report-shares", s.ID+usedEnd), []byte("2026-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := a.Shares(); err != nil || !all[0].Used.IsZero() {
		t.Errorf("a torn note of the last use gives %+v, %v", all, err)
	}
}

func TestSharesThatAreOverForLongAreForgottenAndADamagedOneIsNamed(t *testing.T) {
	a, dir := open(t)
	now := october
	a.now = func() time.Time { return now }
	publish(t, a, "x", `{}`)
	_, old, _ := a.Share("x", "old", "aisha", now.AddDate(0, 0, 1))
	_, keep, _ := a.Share("x", "for ever", "aisha", time.Time{})
	token, broken, _ := a.Share("x", "broken", "aisha", time.Time{})
	now = now.AddDate(0, 0, 2).Add(keepOver)
	_, fresh, err := a.Share("x", "new", "aisha", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "report-shares", broken.ID+shareEnd)
	if err := flip(file); err != nil {
		t.Fatal(err)
	}
	all, err := a.Shares()
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), file) || len(all) != 2 || all[0].ID != fresh.ID || all[1].ID != keep.ID {
		t.Errorf("%+v, %v; %s was to go", all, err, old.ID)
	}
	if _, err := a.Follow(token); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged one: %v", err)
	}
}

func TestSharesAreMadeFollowedAndRevokedAtOnce(t *testing.T) {
	a, dir := open(t)
	publish(t, a, "x", `{}`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			own := New(dir, a.now)
			for range 10 {
				token, s, err := own.Share("x", "l", "aisha", time.Time{})
				if err != nil {
					t.Error(err)
				}
				if _, err := a.Follow(token); err != nil {
					t.Error(err)
				}
				if _, err := a.Revoke(s.ID, "aisha"); err != nil {
					t.Error(err)
				}
				if _, err := own.Follow(token); !errors.Is(err, ErrShare) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if s, err := a.Shares(); err != nil || len(s) != 80 {
		t.Errorf("%d shares, %v", len(s), err)
	}
}

func FuzzAShareThatIsNotOurs(f *testing.F) {
	s := Share{ID: "000000000000", Report: "x", Label: "l", Who: "w", At: october, Token: strings.Repeat("0", 64)}
	f.Add(s.encode(), "AAAA")
	f.Add(sealed([]byte(`{"until":"x"}`)), "")
	dir := f.TempDir()
	a := New(dir, func() time.Time { return october })
	f.Fuzz(func(t *testing.T, data []byte, token string) {
		for _, data := range [][]byte{data, sealed([]byte(strings.ReplaceAll(string(data), "\n", "")))} {
			s, err := decodeShare(data, "000000000000")
			if err != nil {
				continue
			}
			if again, err := decodeShare(s.encode(), s.ID); err != nil || fmt.Sprint(again) != fmt.Sprint(s) {
				t.Fatalf("%+v is %+v, %v when it is written again", s, again, err)
			}
		}
		if _, err := a.Follow(token); !errors.Is(err, ErrShare) {
			t.Fatalf("%q leads somewhere: %v", token, err)
		}
	})
}
