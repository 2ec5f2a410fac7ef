package turn

import "testing"

// Who has not authenticated does not have the server keep much for it.
func TestStrangersQueueIsShort(t *testing.T) {
	c := &client{}
	st := &stream{of: c, due: make(chan struct{}, 1)}
	message := make([]byte, 100)
	for range 10_000 {
		st.send(message)
	}
	if n := len(st.pending); n > strangerQueue || n < strangerQueue/2 {
		t.Errorf("%d bytes wait for a stranger", n)
	}
	c.alloc.Store(&allocation{})
	for range 10_000 {
		st.send(message)
	}
	if n := len(st.pending); n > streamQueue || n < streamQueue/2 {
		t.Errorf("%d bytes wait for a client with an allocation", n)
	}
}
