package chat

// Followed counts who and what this node keeps for its sockets, for the tests
// that look for leftovers.
func (s *Service) Followed() (sockets, people, listeners int) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, st := range s.hub.convs {
		listeners += len(st.local)
	}
	return len(s.hub.clients), len(s.hub.people), listeners
}
