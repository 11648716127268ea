package load

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Fields and Lines are what a point is here, and how many a message has besides its header.
const (
	Fields = 14
	Lines  = 5
)

// Address is the n-th agent.
func Address(n int) telemetry.Address {
	return telemetry.Address{Site: fmt.Sprintf("village-%05d", n), Agent: "main"}
}

// Secret is what it signs in with.
func Secret(n int) string { return fmt.Sprintf("secret-of-the-agent-%05d", n) }

var hourFields = [Fields]string{"ms", "rtt_le_25", "rtt_le_50", "rtt_le_100", "rtt_le_150", "rtt_le_300", "rtt_le_600", "rtt_le_inf", "sent", "lost", "rx_bytes", "tx_bytes", "rx_peak_bps", "tx_peak_bps"}

// stamped tells what stands behind the measurement: nothing on the way to a collector, its two tags on the way to InfluxDB.
func stamped(a telemetry.Address, tags bool) string {
	if !tags {
		return ""
	}
	return ",agent=" + a.Agent + ",site=" + a.Site
}

// spread makes numbers that differ as those of villages do.
func spread(a, k, f int) int64 {
	x := uint64(a)*0x9e3779b97f4a7c15 + uint64(k)*0xbf58476d1ce4e5b9 + uint64(f)*0x94d049bb133111eb
	x ^= x >> 31
	return int64(x >> 7)
}

// at is the time of an agent's batch, in ms: no two of an agent are the same, and all agents go on together.
func (p *Plan) at(k int) int64 {
	switch {
	case p.Present && k == 0:
		return p.zero
	case p.Present:
		return p.Start + int64(k)*p.Every.Milliseconds()
	}
	return p.Start + int64(k)*5000
}

// gap is what an agent says of its next batch, in s.
func (p *Plan) gap() int64 {
	if p.Present {
		return int64(p.Every / time.Second)
	}
	return 60
}

func (p *Plan) header(dst []byte, a, k int, tags bool) []byte {
	dst = append(append(dst, "batch"...), stamped(Address(a), tags)...)
	dst = append(dst, " seq="...)
	dst = strconv.AppendInt(dst, int64(k)+1, 10)
	dst = append(append(append(dst, `i,boot="`...), p.Boot...), `",open_state="up",open_ms=`...)
	dst = strconv.AppendInt(dst, 1000+spread(a, k, 99)%3000_000, 10)
	dst = append(dst, `i,spool_lines=`...)
	dst = strconv.AppendInt(dst, 1+spread(a, k, 98)%4000, 10)
	dst = append(dst, `i,clock="synced",wire_bytes=`...)
	dst = strconv.AppendInt(dst, int64(k)*3000, 10)
	dst = append(dst, `i,next_s=`...)
	dst = strconv.AppendInt(dst, p.gap(), 10)
	dst = append(dst, "i "...)
	dst = strconv.AppendInt(dst, p.at(k), 10)
	return append(dst, '\n')
}

// points are the lines that count, each of 14 fields.
func (p *Plan) points(dst []byte, a, k int, tags bool) []byte {
	for j := range Lines {
		dst = append(append(dst, "hour"...), stamped(Address(a), tags)...)
		sep := byte(' ')
		for f, name := range hourFields {
			dst = append(append(append(dst, sep), name...), '=')
			v := spread(a, k*Lines+j, f)
			switch {
			case f == 0:
				v = 3600_000 - v%900
			case f < 8:
				v = int64(f)*90 + v%90
			case f < 10:
				v = int64(10-f)*700 + v%9
			default:
				v %= 900_000_000
			}
			dst = append(strconv.AppendInt(dst, v, 10), 'i')
			sep = ','
		}
		dst = append(strconv.AppendInt(append(dst, ' '), p.at(k)+int64(j)*1000, 10), '\n')
	}
	return dst
}

// minute is what a router sends each minute.
func (p *Plan) minute(dst []byte, a, k int) []byte {
	return fmt.Appendf(dst, "link,target=collector sent=3i,lost=0i,rtt_min_ms=%d.8,rtt_avg_ms=%d.1,rtt_max_ms=%d.3,jitter_ms=9.4 %[4]d\n"+
		"traffic,iface=eth0 rx_bytes=%[5]di,tx_bytes=812345i,rx_peak_bps=4120000i,tx_peak_bps=512000i,errs=0i,drops=0i %[4]d\n"+
		"host cpu_pct=%[6]d,mem_pct=61,disk_pct=43,load1=0.21,temp_c=51 %[4]d\n",
		40+spread(a, k, 1)%20, 60+spread(a, k, 2)%20, 80+spread(a, k, 3)%20, p.at(k), spread(a, k, 4)%9_000_000, spread(a, k, 5)%100)
}

// frames are all messages as they go over the wire, those of each agent one behind the other.
func (p *Plan) frames() ([][][]byte, error) {
	all := make([][][]byte, p.Agents+p.Live)
	var wg sync.WaitGroup
	faults := make(chan error, runtime.GOMAXPROCS(0))
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			codec, err := telemetry.NewCodec()
			if err != nil {
				faults <- err
				for range next {
				}
				return
			}
			defer codec.Close()
			var text, payload []byte
			for a := range next {
				all[a] = make([][]byte, p.Batches)
				topic := Address(a).Topic(telemetry.KindData)
				for k := range p.Batches {
					text = p.header(text[:0], a, k, false)
					if p.Detail {
						text = p.minute(text, a, k)
					} else {
						text = p.points(text, a, k, false)
					}
					payload = append(payload[:0], text...)
					if p.Zstd {
						payload, _ = codec.Seal(payload[:0], text, telemetry.Zstd) // only an unknown encoding is an error
					}
					all[a][k] = publish(make([]byte, 0, len(payload)+len(topic)+8), topic, payload, 0)
				}
			}
		})
	}
	for a := range all {
		next <- a
	}
	close(next)
	wg.Wait()
	select {
	case err := <-faults:
		return nil, err
	default:
		return all, nil
	}
}
