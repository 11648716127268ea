package web

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// siteStream reads the events of a site's page.
type siteStream struct {
	t    *testing.T
	news chan siteUpdate
}

func openSiteStream(t *testing.T, url string, with ...func(*http.Request)) *siteStream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	for _, w := range with {
		w(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s answers %s %v", url, res.Status, res.Header)
	}
	s := &siteStream{t, make(chan siteUpdate)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			var u siteUpdate
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || json.Unmarshal([]byte(data), &u) != nil {
				continue
			}
			select {
			case s.news <- u:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = res.Body.Close()
		<-done
	})
	return s
}

func (s *siteStream) next(what string) siteUpdate {
	s.t.Helper()
	return s.until(what, func(siteUpdate) bool { return true })
}

func (s *siteStream) until(what string, ok func(siteUpdate) bool) siteUpdate {
	s.t.Helper()
	end := time.After(20 * time.Second)
	for {
		select {
		case u := <-s.news:
			if ok(u) {
				return u
			}
		case <-end:
			s.t.Fatalf("the stream never told %s", what)
		}
	}
}
