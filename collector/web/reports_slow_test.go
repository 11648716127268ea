package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// farReader is a reader behind a slow link: it looks about whenever a part of an answer is sent.
type farReader struct {
	*httptest.ResponseRecorder
	looks func()
	until time.Time
}

func (f *farReader) SetWriteDeadline(at time.Time) error { f.until = at; return nil }

func (f *farReader) Write(b []byte) (int, error) {
	f.looks()
	return f.ResponseRecorder.Write(b)
}

func TestASlowReaderOfASharedReportHasTimeAndKeepsNoOtherWaiting(t *testing.T) {
	p := newReporting(t, noon)
	shared, _ := p.shares(url.Values{"label": {"donor"}})
	for _, path := range []string{shared, shared + "/report.pdf", shared + "/report.json"} {
		rec, sent := &farReader{ResponseRecorder: httptest.NewRecorder()}, 0
		rec.looks = func() {
			if sent++; len(p.made.reads)+len(p.made.draws) > 0 {
				t.Errorf("%s: others wait while it is sent", path)
			}
		}
		p.handler.ServeHTTP(rec, httptest.NewRequest("GET", "http://noc.example"+path, nil))
		if rec.Code != 200 || sent == 0 || time.Until(rec.until) < 50*time.Second {
			t.Errorf("%s answers %d in %d parts, with time until %s", path, rec.Code, sent, rec.until)
		}
	}
}

func TestFewSharedReportsAreReadAtOnceHoweverManyAsk(t *testing.T) {
	p := newReporting(t, noon)
	shared, _ := p.shares(url.Values{"label": {"donor"}})
	for range readers {
		p.made.reads <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, path := range []string{shared, shared + "/report.pdf"} {
		rec := httptest.NewRecorder()
		p.handler.ServeHTTP(rec, httptest.NewRequest("GET", "http://noc.example"+path, nil).WithContext(gone))
		if rec.Body.Len() > 0 {
			t.Errorf("%s is read though as many as may be are: %.200s", path, rec.Body)
		}
	}
	if res, _ := p.ask("GET", "/shared/nothing", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("who has no link waits with the others, and is answered %d", res.StatusCode)
	}
	<-p.made.reads
	if res, _ := p.ask("GET", shared, nil); res.StatusCode != 200 {
		t.Errorf("with a place free it answers %d", res.StatusCode)
	}
}
