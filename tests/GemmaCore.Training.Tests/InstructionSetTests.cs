using GemmaCore.Testing;

namespace GemmaCore.Training.Tests;

/// <summary>
/// The training goldens without an instruction set: all ten steps on AVX2, which most machines have, and where no code of today's machines runs the
/// first step, with every gradient; docs/parity.md has the ten steps of those.
/// </summary>
public sealed class InstructionSetTests
{
    [Theory]
    [InlineData("DOTNET_EnableAVX512", nameof(TrainingGoldenTests.Ten_steps_follow_the_python_stack))]
    [InlineData("DOTNET_EnableAVX2", nameof(TrainingGoldenTests.The_first_step_follows_the_python_stack))]
    [InlineData("DOTNET_EnableHWIntrinsic", nameof(TrainingGoldenTests.The_first_step_follows_the_python_stack))]
    public async Task Training_follows_the_goldens_without(string instructionSet, string test)
    {
        string report = await InstructionSets.RunWithout(
            instructionSet, typeof(InstructionSetTests).Assembly, ["-method", $"{typeof(TrainingGoldenTests).FullName}.{test}"],
            TestContext.Current.CancellationToken);
        Assert.Contains($"{instructionSet}=0", report, StringComparison.Ordinal);
    }
}
