package sfu_test

import (
	"fmt"
	"runtime"
	"testing"

	"commsd/internal/testpeer/meetingpeer"
)

// BenchmarkPlace measures what a participant costs in memory, who receives the
// sound and the picture of one: server and client together, since they share
// the process, so that the difference of the forms is what tells.
func BenchmarkPlace(b *testing.B) {
	for _, one := range []bool{false, true} {
		b.Run(fmt.Sprintf("one connection %t", one), func(b *testing.B) {
			s := serve(b)
			cfg := &meetingpeer.MediaConfig{OneConnection: one}
			an := join(b, s, everything("r", "an"), cfg)
			mic, _ := an.publish(microphone("mic"))
			an.pump(mic, opus)
			cam, _ := an.publish(camera("cam"))
			an.pump(cam, vp8)
			an.up()
			before := inUse()
			goroutines := runtime.NumGoroutine()
			var people []*client
			for i := range b.N {
				c := join(b, s, everything("r", fmt.Sprint(i)), cfg)
				if !one {
					c.negotiateNow() // so that both connections stand
				}
				people = append(people, c)
			}
			for _, c := range people {
				for range 2 {
					c.next(c.track(), nil)
				}
			}
			b.ReportMetric(float64(inUse()-before)/float64(b.N)/1024, "KiB/place")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/float64(b.N), "goroutines/place")
		})
	}
}

// inUse is how much the heap and the stacks hold.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
