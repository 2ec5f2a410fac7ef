package ldapd

// What decoding a request costs is not bounded by its length alone: the decoder
// keeps the bytes of an element once for each element around it, so that a
// request of 64 KiB nested a thousand deep takes a hundred megabytes. A request
// is looked over before it is decoded.
const (
	maxDepth    = maxFilterParts + 28 // elements around each other
	maxElements = 2000                // in one request
	greetBytes  = 8 << 10             // of a request before the client has signed in
)

// checkShape refuses a request that would cost much to decode, and one whose
// elements do not fit into each other.
func checkShape(raw []byte) error {
	ends := make([]int, 0, maxDepth) // where the elements around the next one end
	for at, elements := 0, 0; at < len(raw); {
		if elements++; elements > maxElements {
			return badRequest("the request has too many parts")
		}
		constructed, body, end, ok := element(raw, at)
		if !ok || len(ends) > 0 && end > ends[len(ends)-1] {
			return badRequest("the request cannot be decoded")
		}
		at = end
		if constructed {
			if len(ends) == maxDepth {
				return badRequest("the request is nested too deeply")
			}
			ends, at = append(ends, end), body
		}
		for len(ends) > 0 && at == ends[len(ends)-1] {
			ends = ends[:len(ends)-1]
		}
	}
	if len(ends) > 0 {
		return badRequest("the request cannot be decoded")
	}
	return nil
}

// element reads the head of the element at a place: where its content begins
// and ends. LDAP has definite lengths only (RFC 4511, section 5.1).
func element(raw []byte, at int) (constructed bool, body, end int, ok bool) {
	constructed = raw[at]&0x20 != 0
	high := raw[at]&0x1f == 0x1f // the tag's number goes on in the bytes behind
	for at++; high && at < len(raw); at++ {
		high = raw[at]&0x80 != 0
	}
	if at >= len(raw) {
		return false, 0, 0, false
	}
	length := int(raw[at])
	at++
	if length >= 0x80 {
		n := length - 0x80
		if n == 0 || n > 4 || n > len(raw)-at {
			return false, 0, 0, false
		}
		length = 0
		for _, b := range raw[at : at+n] {
			length = length<<8 | int(b)
		}
		at += n
	}
	if length > len(raw)-at {
		return false, 0, 0, false
	}
	return constructed, at, at + length, true
}
