using GemmaCore.Testing;

namespace GemmaCore.Training.Tests;

/// <summary>
/// The training goldens without an instruction set: all ten steps on AVX2, which most machines have, and where no code of today's machines runs the
/// first step, with every gradient; docs/parity.md has the ten steps of those.
/// </summary>
public sealed class InstructionSetTests
{
    public static TheoryData<string> Switches => [.. InstructionSets.Switches];

    // All ten steps where floats are eight to a vector, which takes seconds; without vectors one step takes as long.
    [Theory]
    [MemberData(nameof(Switches))]
    public async Task Training_follows_the_goldens_without(string instructionSet)
    {
        string test = instructionSet == InstructionSets.Avx512 ? nameof(TrainingGoldenTests.Ten_steps_follow_the_python_stack) : nameof(TrainingGoldenTests.The_first_step_follows_the_python_stack);
        string report = await InstructionSets.RunWithout(
            instructionSet, typeof(InstructionSetTests).Assembly, ["-method", $"{typeof(TrainingGoldenTests).FullName}.{test}"],
            TestContext.Current.CancellationToken);
        Assert.Contains($"{instructionSet}=0", report, StringComparison.Ordinal);
    }
}
