using GemmaCore.Checkpoints;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

public sealed class ParameterCountTests : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-count-" + Guid.NewGuid().ToString("N"));

    [Fact]
    public void The_embedded_model_has_the_elements_of_its_tensors() => Assert.Equal(Dense, Count(Goldens.DemoPath("model")));

    [Fact]
    public void A_checkpoint_of_bitsandbytes_has_as_many_as_the_dense_one() => Assert.Equal(Dense, Count(Goldens.Path("nf4/checkpoint")));

    [Theory]
    [InlineData(WeightFormat.Nf4, WeightFormat.AsStored)]
    [InlineData(WeightFormat.Nf4Plain, WeightFormat.Int8)]
    [InlineData(WeightFormat.Int8, WeightFormat.Int8)]
    [InlineData(WeightFormat.Int8Group, WeightFormat.AsStored)]
    public void What_is_written_quantised_has_as_many_as_before(WeightFormat format, WeightFormat tables)
    {
        string source = Goldens.DemoPath("model");
        using (var device = new CpuDevice(2))
        using (LanguageModel model = ModelFolder.Load(source, device, format, tables)) QuantizedCheckpoint.Write(model, source, _folder);
        Assert.Equal(Dense, Count(_folder));
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private static long Dense
    {
        get
        {
            using var device = new CpuDevice(1);
            using CheckpointFolder checkpoint = CheckpointFolder.Open(Goldens.DemoPath("model"), device);
            return checkpoint.Files.SelectMany(file => file.Header.Tensors.Values).Sum(tensor => tensor.ElementCount);
        }
    }

    private static long Count(string folder)
    {
        using var device = new CpuDevice(1);
        using LanguageModel model = ModelFolder.Load(folder, device);
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder, device);
        return ParameterCount.Of(model, checkpoint.Files.SelectMany(file => file.Header.Tensors.Values));
    }
}
