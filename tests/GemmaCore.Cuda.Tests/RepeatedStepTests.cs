using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Cuda.Tests;

public sealed class RepeatedStepTests
{
    private static int s_key;

    private static readonly CudaKernel Add = new("add.cu", "add_forward");

    public static TheoryData<string> Cards => [.. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_replayed_step_computes_from_what_was_uploaded_for_it(string card)
    {
        using var step = new Step(card);
        // Recorded, compared and captured, replayed.
        foreach (int value in new[] { 1, -2, 3, -4 }) Assert.Equal(Step.Expected(value, rows: 2), step.Run(value, rows: 2));
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_replayed_step_is_one_call_however_many_launches_it_has(string card)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator counts calls");
        using var step = new Step(card);
        step.Run(1, rows: 2, launches: 20);
        step.Run(1, rows: 2, launches: 20);
        long before = Simulator.CallCount;
        step.Run(1, rows: 2, launches: 20);
        // The graph, and the read-back with its synchronisation.
        Assert.InRange(Simulator.CallCount - before, 1, 8);
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_step_that_turns_out_different_is_computed_as_it_comes(string card)
    {
        using var step = new Step(card);
        foreach (int rows in new[] { 2, 2, 2, 1, 1, 1, 2, 2, 2 }) Assert.Equal(Step.Expected(rows - 3, rows), step.Run(rows - 3, rows));
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_step_that_stops_early_or_goes_on_longer_is_computed_as_it_comes(string card)
    {
        using var step = new Step(card);
        foreach (int launches in new[] { 2, 2, 1, 1, 1, 3, 3, 3 })
            Assert.Equal(Step.Expected(5, rows: 2), step.Run(5, rows: 2, launches));
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void Memory_freed_within_a_held_back_step_is_not_used_after_it(string card)
    {
        using var step = new Step(card);
        for (int round = 1; round <= 3; round++)
        {
            var buffer = new DeviceBuffer(step.Device, new Shape(4), DType.F32);
            Assert.Equal(Step.Expected(round, rows: 2), step.Run(round, rows: 2, between: buffer.Dispose));
        }
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_step_with_large_uploads_is_left_alone(string card)
    {
        using var step = new Step(card);
        byte[] large = new byte[1 << 20];
        using var buffer = new DeviceBuffer(step.Device, new Shape(large.Length), DType.U8);
        for (int round = 1; round <= 3; round++)
            Assert.Equal(Step.Expected(round, rows: 2), step.Run(round, rows: 2, between: () => step.Device.CopyFromHost(large, buffer.View)));
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void After_a_step_that_failed_anywhere_the_next_ones_are_computed_as_ever(string card)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator fails when told to");
        const int invalidValue = 1;
        using var step = new Step(card);
        for (int rounds = 0; rounds < 4; rounds++)
        {
            // The first, the one that captures, a replayed one; and without any of this, through the memory that all copies share.
            if (rounds == 3) step.GiveUp();
            for (int k = 1; k <= 12; k++)
            {
                step.Restart();
                for (int i = 0; i < rounds; i++) Assert.Equal(Step.Expected(k, rows: 2), step.Run(k, rows: 2, launches: 3));
                Simulator.FailCall(k, invalidValue);
                Exception? error = Record.Exception(() => step.Run(k, rows: 2, launches: 3));
                Simulator.FailCall(0, 0);
                if (error is not null) Assert.Equal(invalidValue, Assert.IsType<CudaException>(error).Code);
                for (int i = 1; i <= 3; i++) Assert.Equal(Step.Expected(-i, rows: 2), step.Run(-i, rows: 2, launches: 3));
            }
        }
    }

    /// <summary>x [rows, 4] is uploaded and copied; the sum of both goes into y, which was cleared; only the first rows are touched.</summary>
    private sealed class Step : IDisposable
    {
        private readonly DeviceLease _lease;
        private readonly int _key;
        private readonly DeviceBuffer _x, _copy, _y;

        public Step(string card)
        {
            _lease = TestDevices.Lend(card);
            _key = s_key++; // steps that were given up stay so
            var shape = new Shape(2, 4);
            (_x, _copy, _y) = (new DeviceBuffer(Device, shape, DType.F32), new DeviceBuffer(Device, shape, DType.F32), new DeviceBuffer(Device, shape, DType.F32));
        }

        public CudaDevice Device => (CudaDevice)_lease.Device;

        public static float[] Expected(int value, int rows) => [.. Enumerable.Range(0, 8).Select(i => i / 4 < rows ? 2f * value : 0)];

        // An empty stretch drops the record, so that the next one is a first.
        public void Restart()
        {
            Device.BeginRepeatable(_key);
            Device.Synchronize();
        }

        // Large uploads show that the step is not worth repeating.
        public void GiveUp()
        {
            byte[] large = new byte[1 << 20];
            using var buffer = new DeviceBuffer(Device, new Shape(large.Length), DType.U8);
            Run(1, rows: 2, between: () => Device.CopyFromHost(large, buffer.View));
        }

        public float[] Run(int value, int rows, int launches = 1, Action? between = null)
        {
            Device.BeginRepeatable(_key);
            float[] x = new float[8];
            Array.Fill(x, value);
            _x.View.CopyFrom(x);
            Device.Copy(_x.View, _copy.View);
            between?.Invoke();
            Device.Clear(_y.View);
            for (int i = 0; i < launches; i++)
                Device.Launch(Add, new LaunchGrid(1, 256), _copy.View, _x.View, _y.View, 4L * rows);
            return _y.View.ToFloats();
        }

        public void Dispose()
        {
            foreach (DeviceBuffer buffer in new[] { _x, _copy, _y }) buffer.Dispose();
            _lease.Dispose();
        }
    }
}
