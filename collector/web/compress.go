package web

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// compress packs pages, JSON and scripts where the browser takes it: a board is rows that look alike, and
// some are read over the very links that they show. Event streams go out as they are.
func compress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		if strings.HasSuffix(r.URL.Path, "/events") || r.URL.Path == "/metrics" || !acceptsGzip(r.Header.Get("Accept-Encoding")) {
			next.ServeHTTP(w, r)
			return
		}
		p := &packed{ResponseWriter: w}
		next.ServeHTTP(p, r)
		if p.gz != nil {
			_ = p.gz.Close() // the connection is gone; there is nobody to tell
		}
	})
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

type packed struct {
	http.ResponseWriter
	gz   *gzip.Writer
	told bool
}

// WriteHeader decides by status whether there is a body to pack.
func (p *packed) WriteHeader(status int) {
	if p.told {
		return
	}
	p.told = true
	if status != http.StatusNoContent && status != http.StatusNotModified && status >= 200 && p.Header().Get("Content-Encoding") == "" && !isPacked(p.Header().Get("Content-Type")) {
		p.Header().Set("Content-Encoding", "gzip")
		p.Header().Del("Content-Length")
		p.gz, _ = gzip.NewWriterLevel(p.ResponseWriter, gzip.BestSpeed) // the level exists
	}
	p.ResponseWriter.WriteHeader(status)
}

// isPacked tells of what would not get smaller.
func isPacked(kind string) bool {
	return kind == "application/pdf" || kind == "application/zip" || strings.HasPrefix(kind, "font/") || strings.HasPrefix(kind, "application/vnd.openxmlformats")
}

// Write packs.
func (p *packed) Write(b []byte) (int, error) {
	if p.Header().Get("Content-Type") == "" {
		p.Header().Set("Content-Type", http.DetectContentType(b))
	}
	p.WriteHeader(http.StatusOK)
	if p.gz == nil {
		return p.ResponseWriter.Write(b)
	}
	return p.gz.Write(b)
}

// FlushError sends what was written so far, so that a board's head is drawn before its rows are ready.
func (p *packed) FlushError() error {
	if p.gz != nil {
		if err := p.gz.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(p.ResponseWriter).Flush()
}

// Unwrap lets a response controller reach the connection.
func (p *packed) Unwrap() http.ResponseWriter { return p.ResponseWriter }
