package main

import (
	"fmt"
	"io"
	"time"

	"commsd/bench/media/tally"
)

// describe tells a result to people.
func describe(w io.Writer, r Result) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // a terminal that is gone reads nothing
	line("%s: %s (%s)", r.Server, r.Scenario.Name, r.Scenario.About)
	line("  people %d in %d rooms, streams %d of %d, load of the machine %.1f", r.Scenario.people(), r.Scenario.Rooms, r.Streams, r.Wanted, r.Load)
	line("  packets/s   sent %.0f, received %.0f (%.0f Mb/s), lost %.3f %%, twice %d, clients lost %d",
		r.Sent, r.Received, r.Mbits, 100*r.Lost(), r.Audio.Twice+r.Video.Twice, r.Left)
	line("  delay       %s", spread(r.Delay))
	line("  joined      %s", spread(r.Joined))
	line("  connected   %s", spread(r.Connected))
	line("  picture     %s", spread(r.Picture))
	if r.RSS > 0 {
		line("  server      CPU %.2f cores, %.1f µs a packet; joining took %v; memory %.0f MB, %.2f MB a client", cores(r.CPU, r.Window), r.CPUPerPacket,
			r.JoinCPU.Round(time.Millisecond), megabytes(r.RSS), megabytes(r.RSSPerClient))
	}
	line("  driver      CPU %.2f cores", cores(r.DriverCPU, r.Window))
}

func spread(s tally.Spread) string {
	if s.Samples == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s", short(s.P50), short(s.P99), short(s.Max))
}

// short prints a duration with two or three digits.
func short(d time.Duration) string {
	ms := float64(d.Microseconds()) / 1000
	switch {
	case ms >= 10_000:
		return fmt.Sprintf("%.0f s", ms/1000)
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 1:
		return fmt.Sprintf("%.1f ms", ms)
	default:
		return fmt.Sprintf("%.2f ms", ms)
	}
}

func cores(cpu, window time.Duration) float64 { return cpu.Seconds() / max(window.Seconds(), 1e-9) }

func megabytes(n int64) float64 { return float64(n) / 1e6 }
