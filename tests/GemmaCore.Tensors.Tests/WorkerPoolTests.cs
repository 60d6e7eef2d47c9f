namespace GemmaCore.Tensors.Tests;

public sealed unsafe class WorkerPoolTests
{
    private struct Count : IWork
    {
        public int* Hits;

        public readonly void Execute(int index) => Interlocked.Increment(ref Hits[index]);
    }

    private struct Fail : IWork
    {
        public readonly void Execute(int index)
        {
            if (index == 3) throw new ShapeException("part 3");
        }
    }

    // Pauses from nothing to twice the time that a worker spins let the workers spin, fall asleep, or be on their way to sleep when the next run is announced;
    // more threads than cores makes some of them late. A lost wake-up would hang this test. Pools that spin for a few microseconds, or not at all, come by the
    // change to sleep with every round, the pool as it is used with every second one.
    [Theory]
    [InlineData(1, 4000, 100)]
    [InlineData(2, 4000, 300)]
    [InlineData(2, 40, 6000)]
    [InlineData(7, 40, 3000)]
    [InlineData(2, 0, 6000)]
    [InlineData(7, 0, 3000)]
    public void Every_part_runs_once_however_late_the_workers_are(int threads, int spinLimit, int rounds)
    {
        using var pool = new WorkerPool(threads, spinLimit);
        int* hits = stackalloc int[64];
        int longestPause = Math.Max(200, 2 * 8 * spinLimit);
        for (int round = 0; round < rounds; round++)
        {
            new Span<int>(hits, 64).Clear();
            var work = new Count { Hits = hits };
            pool.Run(ref work, 1 + round % 64);
            for (int i = 0; i < 64; i++) Assert.Equal(i <= round % 64 ? 1 : 0, hits[i]);
            if (round % 100 == 0) Thread.Sleep(1);
            else Thread.SpinWait(round % 97 * longestPause / 97);
        }
    }

    [Fact]
    public void A_failing_part_reaches_the_caller_and_the_pool_goes_on()
    {
        using var pool = new WorkerPool(3);
        var fail = new Fail();
        Assert.IsType<ShapeException>(Assert.Throws<AggregateException>(() => pool.Run(ref fail, 8)).InnerException);
        int* hits = stackalloc int[8];
        new Span<int>(hits, 8).Clear();
        var work = new Count { Hits = hits };
        pool.Run(ref work, 8);
        Assert.Equal(8, new Span<int>(hits, 8).ToArray().Sum());
    }
}
