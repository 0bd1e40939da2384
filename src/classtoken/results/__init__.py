"""What each verb gives back: frozen plain values without torch, JSON both ways. One file per verb beside `base`."""
