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

    // Pauses of changing length let the workers spin, fall asleep, or be on their way to sleep when the next run is announced;
    // more threads than cores makes some of them late. A lost wake-up would hang this test.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Every_part_runs_once_however_late_the_workers_are(int threads)
    {
        using var pool = new WorkerPool(threads);
        int* hits = stackalloc int[64];
        for (int round = 0; round < 3000; round++)
        {
            new Span<int>(hits, 64).Clear();
            var work = new Count { Hits = hits };
            pool.Run(ref work, 1 + round % 64);
            for (int i = 0; i < 64; i++) Assert.Equal(i <= round % 64 ? 1 : 0, hits[i]);
            if (round % 100 == 0) Thread.Sleep(1);
            else Thread.SpinWait(round % 97 * 300);
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
