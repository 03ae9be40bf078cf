"""Whether semantic hits are right: a sample of them is compared with the upstream's own answer."""
