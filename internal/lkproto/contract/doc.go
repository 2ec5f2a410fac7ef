// Package contract holds commsd's descriptors of LiveKit's messages against
// the official module's, field by field. It is a module of its own, so that
// what the official one brings along stays out of commsd's. It reads
// ../signal.binpb and knows no package of commsd.
package contract
