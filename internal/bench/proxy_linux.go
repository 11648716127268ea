package bench

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// satellite is what a proxy adds to each way: that of a geostationary satellite (ITU-T G.114 counts 260 ms for one).
const satellite = 260 * time.Millisecond

// openProxy splits TCP connections in two, as performance-enhancing proxies do (RFC 3135): it acknowledges at once what it delivers later.
func openProxy(ctx context.Context, listen, to string) error {
	quiet := net.ListenConfig{KeepAlive: -1}
	l, err := quiet.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("open a proxy: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go relay(ctx, near, to)
		}
	}()
	return nil
}

// relay joins both halves until either ends.
func relay(ctx context.Context, near net.Conn, to string) {
	d := net.Dialer{KeepAlive: -1}
	far, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		_ = near.Close()
		return
	}
	end := sync.OnceFunc(func() { _, _ = near.Close(), far.Close() })
	stop := context.AfterFunc(ctx, end)
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { defer end(); carry(near, far) })
	both.Go(func() { defer end(); carry(far, near) })
	both.Wait()
}

// carry hands on what it reads, a satellite's way later.
func carry(from, to net.Conn) {
	type piece struct {
		due  time.Time
		data []byte
	}
	way := make(chan piece, 1024)
	defer close(way)
	go func() {
		for p := range way {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
				for range way { // until the reader has noticed
				}
				return
			}
		}
	}()
	for {
		b := make([]byte, 16<<10)
		n, err := from.Read(b)
		if n > 0 {
			way <- piece{time.Now().Add(satellite), b[:n]}
		}
		if err != nil {
			return
		}
	}
}
