console.error('build')
