using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>The goldens of the whole model without an instruction set: text, images, batches, the cache.</summary>
public sealed class InstructionSetTests
{
    public static TheoryData<string> Switches => [.. InstructionSets.Switches];

    [Theory]
    [MemberData(nameof(Switches))]
    public async Task Logits_equal_the_goldens_without(string instructionSet)
    {
        string report = await InstructionSets.RunWithout(
            instructionSet, typeof(InstructionSetTests).Assembly, ["-class", typeof(LogitsGoldenTests).FullName!], TestContext.Current.CancellationToken);
        Assert.Contains($"{instructionSet}=0", report, StringComparison.Ordinal);
    }
}
