package app_test

import (
	"context"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"commsd/app"
	"commsd/app/apptest"
)

// TestSignInStorm: 200 people who sign in at once take the memory of the few
// hashes that run, not of all, and whoever is signed in goes on writing.
func TestSignInStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 200 real password hashes")
	}
	const people, hash = 200, 19 << 20
	n := apptest.Start(t, func(c *app.Config) {
		c.SignIn.MaxWaiting, c.SignIn.FreeFailures, c.SignIn.AddressBurst = people, 2*people, 2*people
	})
	writer := join(t, n, "an@noivu.g2g.example")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := writer.Ready(ctx); err != nil {
		t.Fatal(err)
	}

	conv := channel(t, n, writer, join(t, n, "chi@hanoi.g2g.example"))
	runtime.GC()
	before := heap()
	var storm sync.WaitGroup
	var signedIn atomic.Int64
	for range people {
		client := n.Client(t)
		storm.Go(func() {
			res, _ := send(t, client, "POST", n.URL+"/api/v1/sessions", `{"login":"binh@noivu.g2g.example","password":"`+password+`"}`)
			if res.StatusCode == http.StatusCreated {
				signedIn.Add(1)
			}
		})
	}
	over := make(chan struct{})
	go func() { storm.Wait(); close(over) }()

	peak, answered, slowest := before, 0, time.Duration(0)
	for storming := true; storming; {
		began := time.Now()
		if _, err := writer.Send(ctx, conv, "vẫn gửi được"); err != nil {
			t.Fatal(err)
		}
		slowest, answered = max(slowest, time.Since(began)), answered+1
		peak = max(peak, heap())
		select {
		case <-over:
			storming = false
		default:
		}
	}
	if signedIn.Load() != people {
		t.Errorf("%d of %d came in", signedIn.Load(), people)
	}
	if answered < people/4 {
		t.Errorf("%d messages were acknowledged while %d signed in", answered, people)
	}
	// What runs, what the collector has not taken away yet, and the rest of the
	// program; 200 hashes at once would be 3.8 GB.
	atOnce := max(1, runtime.GOMAXPROCS(0)-1)
	if bound := before + uint64(2*atOnce+3)*hash + 64<<20; peak > bound {
		t.Errorf("the heap grew from %d to %d MiB; %d hashes at once should keep it below %d", before>>20, peak>>20, atOnce, bound>>20)
	}
	t.Logf("heap %d MiB before, %d at the peak; %d messages acknowledged meanwhile, the slowest after %v", before>>20, peak>>20, answered, slowest.Round(time.Millisecond))
}

// heap is what is alive or not collected yet.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
