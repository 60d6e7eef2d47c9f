// The simulator is one for the process: its call counts and planted failures would meet the calls of another test.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
