"""Tools for the optimisation landscapes of GANs, in packages on floors.

A module imports only from floors below its own and from its own package; `make lint` checks
this. Each package lists its public names. From the bottom up:

 1 inputs       arguments of public functions, all checked in one way
 2 losses       the h functions, the table of GAN losses, the gradient penalty
 2 models       the papers' networks; stacks of seeds, nets on the line, nets held for analysis
 2 datasets     torchvision's image sets, checked; synthetic sets
 2 ledger       claims, rules, verdicts, boxes, scoreboard; tables and timings on record
 2 checkpoints  one way to write and read a state, and to record what a run was made of
 2 machine      the device, peak memory, operations
 3 games        `Game`, two losses of one point: closed-form games, networks as a game
 3 outer        the generator's outer problem: exact values, states, Lipschitz surface, basins
 4 operators    Hessians and the Jacobian of a game, by products
 5 spectra      Lanczos, densities, leading pairs, Arnoldi, clouds
 6 training     optimisers, nudging, the training of one GAN and of an ensemble of seeds
 7 analysis     what is read off a game or a run: stability, paths, ends, surfaces, dynamics
 7 scores       judges of images, scores, and scores as papers print them
 8 experiments  the papers' experiments, one per module
 9 evidence     runs of experiments: which are wanted, how they are made, kept and judged
 9 figures      the book's figures: they draw what they are given
10 book         the tool behind make; nothing imports it
10 chapter      what a chapter calls: its live run, the evidence, figures, verdict boxes
"""

__version__ = "0.1.0"
