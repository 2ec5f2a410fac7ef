package sfu

import "sync"

// maxForeign bounds the functions that a client's messages may have waiting:
// one that negotiates as it should has one.
const maxForeign = 16

// serial runs functions one after the other on a goroutine that exists only
// while there are some: the actor behind each PeerConnection, whose calls
// block and must neither overlap nor hold up a room. Do never blocks.
type serial struct {
	// Set at construction; may be nil.
	idle     func()      // runs when the queue has become empty
	panicked func(v any) // is told of a panic, after which the queue goes on; nil: it ends the process

	mu      sync.Mutex
	queue   []func() // guarded by mu
	foreign int      // guarded by mu; of DoForeign, waiting
	running bool     // guarded by mu
	closed  bool     // guarded by mu; refuse more
	wg      sync.WaitGroup
}

// Do queues fn. It reports false when the queue is closed.
func (s *serial) Do(fn func()) bool { return s.add(fn, false) }

// DoForeign is Do for what a client asks for. It reports false also when
// maxForeign such functions wait.
func (s *serial) DoForeign(fn func()) bool {
	s.mu.Lock()
	if s.foreign >= maxForeign {
		s.mu.Unlock()
		return false
	}
	s.foreign++
	s.mu.Unlock()
	return s.Do(func() {
		s.mu.Lock()
		s.foreign--
		s.mu.Unlock()
		fn()
	})
}

// Close queues fn as the last function. It reports false when the queue was
// closed already.
func (s *serial) Close(fn func()) bool { return s.add(fn, true) }

func (s *serial) add(fn func(), last bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = last
	s.queue = append(s.queue, fn)
	if !s.running {
		s.running = true
		s.wg.Add(1)
		go s.run()
	}
	return true
}

// Wait blocks until a closed queue has run out.
func (s *serial) Wait() { s.wg.Wait() }

func (s *serial) run() {
	defer s.wg.Done()
	for {
		s.mu.Lock()
		if len(s.queue) == 0 {
			idle := s.idle
			if s.closed {
				idle = nil
			}
			s.mu.Unlock()
			if idle != nil {
				s.call(idle)
			}
			s.mu.Lock()
			if len(s.queue) == 0 {
				s.running = false
				s.mu.Unlock()
				return
			}
		}
		fn := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.mu.Unlock()
		s.call(fn)
	}
}

func (s *serial) call(fn func()) {
	defer func() {
		if s.panicked == nil {
			return
		}
		if v := recover(); v != nil {
			s.panicked(v)
		}
	}()
	fn()
}
